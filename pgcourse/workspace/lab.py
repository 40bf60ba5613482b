"""A learner's copy of the course, and JupyterLab opened on it with settings of its own."""

import json
import os
from pathlib import Path

import pgcourse
from pgcourse.files import write_atomically
from pgcourse.publishing import manifest

START = "00_start_here.ipynb"
SETTINGS_FOLDER = ".jupyterlab"
SETTINGS = {
    "@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": False},
    "@jupyterlab/docmanager-extension:plugin": {"autosaveInterval": 10},  # seconds: a lost page costs a sentence
    # Whole pages: a link to a later section finds it, and so does the browser's search.
    "@jupyterlab/notebook-extension:tracker": {"windowingMode": "none"},
}
# Of nbgrader a learner needs one button, Validate.
DISABLED = ("menu", "assignment-list", "course-list", "create-assignment", "formgrader")
# Its other parts in the server would only complain that a learner's copy is no instructor's course.
SERVER = {
    "ServerApp": {
        "jpserver_extensions": {
            f"nbgrader.server_extensions.{name}": False for name in ("assignment_list", "course_list", "formgrader")
        }
    }
}
TABLE_OF_CONTENTS = "@jupyterlab/toc:plugin"
WORKSPACE = {
    "data": {
        "layout-restorer:data": {
            "left": {"collapsed": False, "visible": True, "current": TABLE_OF_CONTENTS, "widgets": [TABLE_OF_CONTENTS]},
            "right": {"collapsed": True, "visible": True, "widgets": []},
            "relativeSizes": [0.24, 0.76, 0],
        }
    },
    "metadata": {"id": "default"},
}


def prepare(folder=None, update=False):
    """Makes the learner's copy if there is none, renews it if asked to, says what became of it; returns its path."""
    folder = Path(folder).expanduser() if folder else default_folder()
    is_copy = (folder / manifest.MARKER).is_file()
    if update or not is_copy:
        from pgcourse.publishing.release import release  # here: it takes seconds, and most starts do without

        lines = release(folder, update=update).lines()
        print("\n".join([f"Your copy of the course: {folder}", *lines]))
        return folder
    print(f"Your copy of the course: {folder}")
    made, now = manifest.read(folder), pgcourse.__version__
    if made["source"] != manifest.source_digest():
        versions = f" ({made['version']}, now {now})" if made["version"] != now else ""
        print(f"The course has changed since this copy was made{versions}. To renew the lessons that you have not")
        print("changed, stop with Ctrl-C and start with --update (or make lab ARGS=--update). Yours are kept.")
    return folder


def default_folder():
    root = manifest.checkout()
    return root / "work" if root else Path.home() / "pgcourse-work"


def open_in_jupyterlab(folder, port=8888, arguments=()):
    """Runs JupyterLab in `folder` until it is stopped; returns its exit status."""
    os.environ.update(environment(Path(folder)))
    from jupyterlab.labapp import main  # here, because it reads these variables while it is imported

    if getattr(os, "getuid", lambda: -1)() == 0:
        arguments = ["--allow-root", *arguments]
    options = [f"--ServerApp.root_dir={Path(folder).resolve()}", f"--LabApp.default_url=/lab/tree/{START}"]
    if not any("debug" in argument or "log" in argument for argument in arguments):
        # Else the address, which is all that a learner wants to read, drowns.
        options += ["--ServerApp.log_level=WARN", "--LabApp.log_level=WARN"]
    print(f"Opening it at http://localhost:{port}, or the address that follows (stop with Ctrl-C)", flush=True)
    return main([*options, f"--ServerApp.port={port}", *arguments]) or 0


def environment(folder):
    """The variables that make JupyterLab use the settings in `folder`, which are written, before the user's own files.

    The user's own settings are read, and win where they say something; none of their files is written to.
    """
    home = folder.resolve() / SETTINGS_FOLDER
    write_settings(home / "config", home / "workspaces")
    paths = [str(home / "config"), *filter(None, [os.environ.get("JUPYTER_CONFIG_PATH")])]
    return {
        "JUPYTER_CONFIG_PATH": os.pathsep.join(paths),
        "JUPYTERLAB_WORKSPACES_DIR": str(home / "workspaces"),
        "JUPYTER_PREFER_ENV_PATH": "1",  # the kernel of this Python, not one that the user has under the same name
        # For tensors as small as ours a second thread only costs, and on a busy machine it costs nearly everything.
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1"),
    }


def write_settings(config, workspaces):
    """Writes JupyterLab's settings to a Jupyter configuration folder, and the first layout, unless there is one."""
    from jupyterlab_server.workspaces_handler import WORKSPACE_EXTENSION, slugify

    disabled = {"disabledExtensions": {f"@jupyter/nbgrader:{name}": True for name in DISABLED}}
    _write_json(config / "labconfig/default_setting_overrides.json", SETTINGS)
    _write_json(config / "labconfig/page_config.json", disabled)
    _write_json(config / "jupyter_server_config.d/pgcourse.json", SERVER)
    layout = workspaces / (slugify("default") + WORKSPACE_EXTENSION)
    if not layout.exists():
        _write_json(layout, WORKSPACE)


def _write_json(path, document):
    write_atomically(path, (json.dumps(document, indent=1) + "\n").encode())
