"""Worker processes that do not run the caller's main module.

multiprocessing imports the parent's ``__main__`` again in each child that it starts, so that the
child can unpickle what is defined there. Segtasks sends nothing of it to a worker, and a script
without ``if __name__ == "__main__":`` would start itself again in every one of them. The processes
of this module leave it out, as joblib's loky does, and have a fork server of their own: what the
caller does with multiprocessing and what segtasks does with it do not meet.
"""

import io
import os
from collections.abc import Mapping
from multiprocessing import context, popen_forkserver, reduction, spawn, util
from multiprocessing.forkserver import ForkServer, read_signed
from multiprocessing.process import BaseProcess
from typing import ClassVar

METHOD = "segtasks"
"""Name of `WorkerContext`, for libraries that call ``multiprocessing.get_context``."""
_MAIN = ("init_main_from_name", "init_main_from_path")


class WorkerProcess(context.ForkServerProcess):
    """A process forked from a fresh interpreter, without the caller's main module.

    Its environment is the caller's of now: the fork server has that of the time when it started,
    and a notebook sets credentials when they are found to be missing.

    Attributes:
        server: the process that is forked; it starts when it is first needed.
        environment: variables that differ from the caller's.
    """

    server: ClassVar[ForkServer] = ForkServer()
    environment: ClassVar[Mapping[str, str]] = {}

    def start(self) -> None:
        """Start it with the environment of now."""
        self._environment = {**os.environ, **self.environment}
        super().start()

    def run(self) -> None:
        """Call the target, in the process."""
        os.environ.clear()
        os.environ.update(self._environment)
        super().run()

    @staticmethod
    def _Popen(process_obj: BaseProcess) -> "_Popen":  # noqa: N802 - multiprocessing's name
        return _Popen(process_obj)


class _Popen(popen_forkserver.Popen):
    def _launch(self, process_obj: WorkerProcess) -> None:
        """Do as the base class (the same in CPython 3.11 to 3.13), but for the two remarks."""
        preparation = spawn.get_preparation_data(process_obj.name)
        for key in _MAIN:  # the first: the child is not to import the main module
            preparation.pop(key, None)
        buffer = io.BytesIO()
        context.set_spawning_popen(self)
        try:
            reduction.dump(preparation, buffer)
            reduction.dump(process_obj, buffer)
        finally:
            context.set_spawning_popen(None)
        # The second: the fork server is the class's, not the one that all share.
        fds = self._fds  # type: ignore[attr-defined] # typeshed leaves it out
        self.sentinel, writer = process_obj.server.connect_to_new_process(fds)
        # The child watches a copy of the pipe's write end: it ends when the parent has.
        ends = (os.dup(writer), self.sentinel)
        self.finalizer = util.Finalize(self, util.close_fds, ends)  # type: ignore[attr-defined] # the same
        with os.fdopen(writer, "wb") as pipe:
            pipe.write(buffer.getbuffer())
        self.pid = read_signed(self.sentinel)


class WorkerContext(context.ForkServerContext):
    """The multiprocessing context of such processes."""

    _name = METHOD
    Process = WorkerProcess


def register(made: context.BaseContext) -> None:
    """Have ``multiprocessing.get_context`` find a context by its name."""
    name = made.get_start_method()
    context._concrete_contexts[name] = made  # type: ignore[attr-defined] # noqa: SLF001 - as loky does


register(WorkerContext())
