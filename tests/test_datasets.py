"""What comes with the package loads, says where it is from, and is better than its base step."""

import json

import numpy as np
import pytest

from dlintegrate import list_pretrained, load_pretrained, sample_canonical
from dlintegrate.datasets import describe_pretrained
from dlintegrate.metrics import one_step_error


def test_an_unknown_name_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match=r"name='none': expected one of \['park-unet-L4'"):
        load_pretrained("none")


@pytest.mark.parametrize("name", list_pretrained())
def test_card_says_where_the_weights_come_from(name):
    card = describe_pretrained(name)
    provenance = card["provenance"]
    assert provenance["command"].startswith("python benchmarks/train_unet.py --size ")
    assert {"date", "cpu", "duration_seconds", "versions", "seeds"} <= set(provenance)
    assert {"system", "training_set", "lattice", "temperatures", "one_step_error"} <= set(card)
    assert "/work" not in json.dumps(card)
    assert "/tmp" not in json.dumps(card)


@pytest.mark.parametrize("name", list_pretrained())
def test_error_is_that_of_the_card_and_below_the_base(name):
    integrator, card = load_pretrained(name), describe_pretrained(name)
    for temperature, told in card["one_step_error"].items():
        samples = sample_canonical(integrator.system, float(temperature), 12, random_state=5)
        error = one_step_error(integrator, samples)
        assert error == pytest.approx(told["corrected"], rel=0.2)
        assert error < 0.9 * one_step_error(integrator.base, samples)


@pytest.mark.parametrize("name", list_pretrained())
def test_trajectory_stays_healthy(name):
    integrator = load_pretrained(name)
    samples = sample_canonical(integrator.system, 1.0, 2, random_state=5)
    trajectory = integrator.simulate(samples, 3.0, save_every=10)
    assert (trajectory.status == 0).all()
    assert np.abs(np.linalg.norm(trajectory.spin, axis=-1) - 1).max() < 1e-12
