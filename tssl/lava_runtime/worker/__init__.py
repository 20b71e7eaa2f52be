"""The only files that import Lava: they run one job, files in and out, in a process of their own.

Started by ``tssl.lava_runtime.process`` as a *copy* in the job's folder, with any Python that has
lava-nc, lava-dl, numpy, scipy, h5py, networkx and asteval; they import nothing of tssl, and each
other relative to their folder. Usage: ``python worker FOLDER`` or ``python worker --check``.

In FOLDER: ``job.json`` and ``input.npy`` ``(time or 1, samples, inputs)``. Out of it:
``status.npy`` (phase, finished samples, time step: the heartbeat), ``layer_<i>.npy``
``(samples, time, neurons)`` for every layer in Lava's order, ``potential.npy``
``(samples, outputs)``, ``current_<i>.npy`` and ``potential_<i>.npy`` of the layers whose states the
job asks for, or ``error.json`` (kind, message, traceback).
"""
