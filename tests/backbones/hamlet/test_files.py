"""From the files of MMAct, in their true format, to a prediction."""

import sure_pyro as sp
from sure_pyro.backbones.hamlet import HAMLET
from sure_pyro.data.formats import read_mmact
from sure_pyro.models import encode_store
from tests.data.formats.small import mmact


def test_from_clips_to_actions(tmp_path):
    mmact(tmp_path)
    takes = read_mmact(tmp_path, frames=4, windows=6, resize=40, crop=33)
    clips = takes.to_batch(takes)
    assert clips.modalities == ("rgb", "acc_phone", "acc_watch", "gyro", "orientation")
    num_classes = len(takes.class_names)
    sizes = {"width": 8, "blocks": [1, 1, 1, 1], "resnet_width": 2}
    backbone = HAMLET.for_data(clips, num_classes, **sizes)
    store = encode_store(backbone, takes, tmp_path / "latents", progress_bar=False)
    model = sp.SURE(backbone, reconstructor_options={"width": 8})
    sp.fit(model, store, store, epochs=1, seed=0, progress_bar=False)
    prediction = model.predict(clips, propagate="both", num_samples=50)
    assert prediction.probabilities["taylor"].shape == (len(clips), num_classes)
    for i, name in enumerate(clips.modalities):
        brought = prediction.variance.get(name)
        missing = ~clips.available[:, i]
        assert missing.any() == (brought is not None)
        if brought is not None:
            assert (brought[missing] > 0).any(1).all()
            assert (brought[~missing] == 0).all()
