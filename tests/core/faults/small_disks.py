"""Small disks for a process to fill: a tmpfs that no other process sees, gone with the process."""

import ctypes
import os
from pathlib import Path

CLONE_NEWNS, CLONE_NEWUSER = 0x00020000, 0x10000000
READ_ONLY, REMOUNT, BIND = 1, 32, 4096
LIBC = ctypes.CDLL(None, use_errno=True)


def _checked(result: int) -> None:
    if result:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def leave_namespace() -> None:
    """Mounts of this process are its own from here on; OSError where the system forbids it."""
    user, group = os.getuid(), os.getgid()
    _checked(LIBC.unshare(CLONE_NEWNS | CLONE_NEWUSER))
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"0 {user} 1")
    Path("/proc/self/gid_map").write_text(f"0 {group} 1")


def mount(directory: Path, size: int) -> None:
    """An empty disk of `size` bytes."""
    target, options = os.fsencode(directory), f"size={size}".encode()
    _checked(LIBC.mount(b"tmpfs", target, b"tmpfs", 0, options))


def make_read_only(directory: Path) -> None:
    """The mounted disk refuses writes from now on."""
    target = os.fsencode(directory)
    _checked(LIBC.mount(b"tmpfs", target, b"tmpfs", REMOUNT | READ_ONLY, None))


def freeze(directory: Path) -> None:
    """The directory refuses writes from now on; its disk need not be free of open files."""
    target = os.fsencode(directory)
    _checked(LIBC.mount(target, target, None, BIND, None))
    _checked(LIBC.mount(None, target, None, REMOUNT | BIND | READ_ONLY, None))


def fill(directory: Path, left: int) -> Path:
    """Leaves `left` bytes free, rounded down to pages; gives the file that takes the rest."""
    filler = directory / "filler"
    status = os.statvfs(directory)
    filler.write_bytes(bytes(max(0, status.f_bavail * status.f_bsize - left)))
    return filler
