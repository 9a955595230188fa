"""An exception that no verb expects is one line that says whose fault it is, and where the whole report is."""

from __future__ import annotations

import pytest

from arasuji import bases, cli, errors


class PanicError(BaseException):
    """What a library in Rust raises where it has a fault: no Exception."""


@pytest.fixture
def faulty(monkeypatch, tmp_path):
    """Lets `arasuji presets` raise an exception."""
    monkeypatch.setenv("ARASUJI_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("ARASUJI_TRACEBACK", raising=False)

    def set_fault(error: BaseException) -> None:
        def app(*arguments, **options):
            raise error

        monkeypatch.setattr(cli, "app", app)

    return set_fault


@pytest.mark.parametrize("error", [KeyError("genre"), PanicError("index out of bounds\nat src/lib.rs")])
def test_a_fault_is_one_line_and_its_report_is_in_a_file(arasuji_, faulty, error):
    faulty(error)
    done = arasuji_("presets", "--json")
    (report,) = (bases.home() / "faults").iterdir()
    assert (done.code, done.out, done.err.count("\n")) == (70, "", 1)
    assert done.err.startswith("error: this is a bug in arasuji")
    assert str(report) in done.err
    assert type(error).__name__ in done.err
    said = report.read_text("utf-8")
    assert "Traceback" in said
    assert "arasuji presets --json" in said


def test_a_fault_that_tells_of_half_a_character_is_one_line_too(arasuji_, faulty):
    faulty(KeyError("half a pair: \ud800"))
    done = arasuji_("presets", "\udcff")  # an argument with a byte that is no letter
    (report,) = (bases.home() / "faults").iterdir()
    assert (done.code, done.err.count("\n")) == (70, 1)
    assert str(report) in done.err
    assert all(half in report.read_text("utf-8") for half in (r"presets '\udcff'", r"half a pair: \ud800"))


def test_a_report_that_cannot_be_kept_is_printed(arasuji_, faulty, tmp_path):
    (tmp_path / "home").write_text("in the way")
    faulty(KeyError("genre"))
    done = arasuji_("presets")
    assert done.code == 70
    assert "Traceback" in done.err
    assert done.err.splitlines()[-1].startswith("error: this is a bug in arasuji")


def test_a_report_is_printed_where_it_is_asked_for(arasuji_, faulty, monkeypatch, tmp_path):
    monkeypatch.setenv("ARASUJI_TRACEBACK", "1")
    faulty(KeyError("genre"))
    assert "Traceback" in arasuji_("presets").err
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize(
    "error", [MemoryError(), RuntimeError("std::bad_alloc"), RuntimeError("could not create a primitive")]
)
def test_memory_that_is_full_is_no_fault(arasuji_, faulty, error):
    faulty(error)
    assert "memory is full" in arasuji_("presets").complaint


def test_what_onednn_says_of_a_shape_that_it_does_not_know_is_no_lack_of_memory():
    said = "could not create a primitive descriptor for the matmul primitive"
    assert not errors.out_of_memory(RuntimeError(said))
