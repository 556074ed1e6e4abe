"""Tools for integrators: lines in, one JSON object a line out, nothing else on standard output."""

import sys
from typing import TYPE_CHECKING

from ops.cli.options import add_command, add_group
from ops.plate_tools import add_plate
from ops.statement_tools import add_statement
from ops.tariff_tools import add_tariff

if TYPE_CHECKING:
    from ops.cli.options import Options, Parsers


def add_tools(commands: "Parsers") -> None:
    vietqr = add_group(commands, "vietqr", "read and write VietQR payloads")
    add_command(vietqr, "decode", _vietqr_decode, "payloads in, their fields out as JSON lines")
    add_command(vietqr, "build", _vietqr_build, "JSON lines in, payloads out as JSON lines")

    reference = add_group(commands, "reference", "make references of bills")
    make = add_command(reference, "make", _reference_make, "print references of one organisation")
    make.add_argument("--org", metavar="CODE", required=True, help="its four characters")
    make.add_argument("-n", metavar="N", type=int, default=1, help="how many (%(default)s)")

    memo = add_group(commands, "memo", "find references in what banks write")
    add_command(memo, "find", _memo_find, "memos in, references out as JSON lines")

    add_tariff(commands)
    add_statement(commands)
    plate = add_plate(commands)
    read = add_command(plate, "read", _plate_read, "photos in, plates they may show as JSON lines")
    read.add_argument("files", metavar="FILE", nargs="*", help="instead of lines of input")

    callback = add_group(commands, "callback", "check callbacks of banks and providers")
    verify = add_command(
        callback, "verify", _callback_verify, "a raw body in, the verdict out as JSON"
    )
    verify.add_argument("--provider", metavar="P", required=True, help="payos, sepay, casso, …")
    verify.add_argument("--secret", metavar="S", required=True, help="the endpoint's key")
    verify.add_argument(
        "--header", metavar="'Name: value'", action="append", default=[], dest="headers"
    )
    verify.add_argument("--at", metavar="UNIX", type=int, help="the clock at arrival (now)")


def _vietqr_decode(options: "Options") -> int:
    from ops.cli.tools_vietqr import run_vietqr_decode

    return run_vietqr_decode(sys.stdin.buffer, sys.stdout)


def _vietqr_build(options: "Options") -> int:
    from ops.cli.tools_vietqr import run_vietqr_build

    return run_vietqr_build(sys.stdin.buffer, sys.stdout)


def _reference_make(options: "Options") -> int:
    from ops.cli.tools_vietqr import run_reference_make

    return run_reference_make(options.org, options.n, sys.stdout)


def _memo_find(options: "Options") -> int:
    from ops.cli.tools_vietqr import run_memo_find

    return run_memo_find(sys.stdin.buffer, sys.stdout)


def _plate_read(options: "Options") -> int:
    from ops.cli.tools_plate_reading import run_plate_read
    from ops.plate_reading import ensure_plate_reading

    weights = ensure_plate_reading()
    return run_plate_read(options.files or sys.stdin.buffer, weights, sys.stdout)


def _callback_verify(options: "Options") -> int:
    from ops.cli.tools_callback import run_callback_verify

    return run_callback_verify(
        options.provider,
        options.secret,
        options.headers,
        options.at,
        sys.stdin.buffer.read(),
        sys.stdout,
    )
