"""Opening of a model whose weights are on a service: configuration and tokenizer here, a first pass there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib.metadata import version
from io import BytesIO
from math import inf, isnan
from pathlib import Path
from platform import python_version
from typing import Any

import torch

from lenstui.model.anatomy import Anatomy, find_anatomy
from lenstui.model.head import Head, head_candidates
from lenstui.model.interventions import head_checked
from lenstui.model.load import Model, context_of, quiet, wiring_ids
from lenstui.model.ndif import Deployment, Service, difference
from lenstui.model.pretrained import Pretrained
from lenstui.model.remote import Remote
from lenstui.model.residual import logits_options
from lenstui.model.tokens import TokenTexts
from lenstui.model.torch_hacks import shapes_alone
from lenstui.model.wiring import TOLERANCES, Check
from lenstui.support.errors import FOREIGN_ERRORS, LensError, first_clause, named_line

_TASK = "text-generation"
_OWN = ("torch", "transformers")  # whose versions here are said where they differ
_WIRING = "head(final norm(h_L)) = the model's logits, on the service"
_MOST_BLOCKS = 1000  # of a configuration without weights, against which it could be checked


def open_remote(
    deployment: Deployment,
    folder: Path,
    service: Service,
    there: Mapping[str, str],
    *,
    revision: str | None = None,
    on_stage: Callable[[str], None] = lambda stage: None,
) -> Model:
    """Open a model that a service runs, with its configuration and tokenizer from a folder.

    Args:
        deployment: the model there.
        folder: its files without the weights.
        service: the service.
        there: the versions there, by name.
        revision: the revision on the hub, if one was named.
        on_stage: called with each stage, in a few words.

    Raises:
        LensError: if the service cannot be used, or the model cannot be read right.
    """
    quiet()
    here = {"python": python_version(), **{name: version(name) for name in ("nnsight", *_OWN)}}
    differs = difference(here, there)
    on_stage("reading the configuration")
    weightless = Weightless.read(deployment.name, folder)
    try:
        envoy = envoy_of(str(folder), tokenizer=weightless.tokenizer)
    except Exception as error:  # nnsight and the pipelines of transformers raise nearly every kind
        raise LensError(f"nnsight cannot show {deployment.name}: {named_line(error)}") from error
    waits = f"{deployment.name} is not running there yet: jobs may wait"
    said = [] if deployment.state == "RUNNING" else [waits]
    said += [] if differs is None else [differs]
    remote = weightless.at(service.name, envoy, lambda: Job(service, deployment.key, on_stage))
    remote = replace(remote, remarks=tuple(said), versions=there)
    on_stage("checking the wiring there")
    model = wired(weightless, remote, revision=revision)
    assert model.remote is not None
    # The stages are those of the opening alone.
    return replace(model, remote=replace(model.remote, job=lambda: Job(service, deployment.key)))


def envoy_of(source: Any, **more: Any) -> Any:
    """Return nnsight's view of a causal LM; of a folder without weights.

    nnsight is imported here, and this package registered: what of it is called in a pass is sent as source.

    Args:
        source: a folder.
        more: what else nnsight's `TransformersModel` takes.
    """
    from nnsight import TransformersModel, register
    from nnsight.schema.config import CONFIG

    CONFIG.APP.REMOTE_LOGGING = False  # it prints
    register(__name__.partition(".")[0])
    return TransformersModel(source, task=_TASK, **more)


@dataclass(frozen=True, eq=False)
class Weightless:
    """A causal LM without its weights.

    Attributes:
        name: a label for it.
        module: the transformers model, on the meta device.
        anatomy: its parts.
        tokenizer: its tokenizer.
        config: the configuration of its text model.
    """

    name: str
    module: Any
    anatomy: Anatomy
    tokenizer: Any
    config: Any

    @classmethod
    def read(cls, name: str, folder: Path) -> Weightless:
        """Build the model that a configuration describes, and find its parts.

        Raises:
            LensError: if the files cannot be used, or no parts are found.
        """
        from transformers import AutoModelForCausalLM

        files = Pretrained.read(folder, name, with_weights=False)
        config = files.config.get_text_config(decoder=True)
        blocks = getattr(config, "num_hidden_layers", None)
        if not isinstance(blocks, int) or not 0 < blocks <= _MOST_BLOCKS:
            raise LensError(f"{folder / 'config.json'} names no number of blocks that a model can have.")
        try:
            with torch.device("meta"):
                module = AutoModelForCausalLM.from_config(files.config)
            module.eval()
            with shapes_alone():
                ids = torch.zeros(1, 4, dtype=torch.long, device="meta")
                anatomy = find_anatomy(module, ids, blocks, getattr(config, "hidden_size", None))
        except FOREIGN_ERRORS as error:
            why = first_clause(error)
            raise LensError(f"{name} cannot be taken apart without its weights: {why}.") from error
        return cls(name, module, anatomy, files.tokenizer(), config)

    def at(self, service: str, envoy: Any, job: Callable[[], Any]) -> Remote:
        """Return the place of the model's weights, before its head is known.

        Args:
            service: what it is called in messages.
            envoy: nnsight's view of the model.
            job: makes what runs one pass there.

        Raises:
            LensError: if its head is not one matrix behind the final norm.
        """
        paths = {id(part): path for path, part in self.module.named_modules()}
        matrix, anatomy = paths.get(id(self.module.get_output_embeddings())), self.anatomy
        if matrix is None or anatomy.after_norm:
            raise LensError(
                f"The head of {self.name} ({type(self.module).__name__}) is not one matrix behind the final "
                "norm: --remote cannot read it."
            )
        norm = None if anatomy.final_norm is None else paths[id(anatomy.final_norm)]
        blocks = tuple(paths[id(block)] for block in anatomy.blocks)
        options = {"use_cache": False, **logits_options(self.module)}
        return Remote(service, envoy, blocks, norm, matrix, job, options)


def wired(weightless: Weightless, remote: Remote, *, revision: str | None = None) -> Model:
    """Run the wiring check where the weights are, and return the model.

    Args:
        weightless: the model without weights.
        remote: where the weights are.
        revision: the revision on the hub, if one was named.

    Raises:
        LensError: if the model cannot be read right.
    """
    module, config = weightless.module, weightless.config
    ids = wiring_ids(weightless.tokenizer, int(config.vocab_size))[0].tolist()
    candidates = head_candidates(config)
    found = remote.run(ids, head_checked, candidates)
    try:
        dtype: torch.dtype = getattr(torch, str(found["dtype"]).removeprefix("torch."))
        d_model, vocabulary = int(found["d_model"]), int(found["vocabulary"])
        device, versions = str(found["device"]), {**remote.versions, "torch": str(found["torch"])}
        checked = zip(map(float, found["worst"]), candidates, strict=True)
        worst, head = min(checked, key=lambda each: inf if isnan(each[0]) else each[0])
    except (LookupError, AttributeError, TypeError, ValueError) as error:
        raise LensError(f"{remote.service} answers what it was not asked: try again later.") from error
    check = Check(_WIRING, worst, TOLERANCES.get(dtype, TOLERANCES[torch.bfloat16]))
    if not check.ok:
        raise LensError(
            f"Wiring check failed: {check.name}: off by {worst:.2g} (tolerance {check.tolerance:.0e}). "
            f"{type(module).__name__} is not read right there, so nothing is shown. Choose another model."
        )
    return Model(
        name=weightless.name,
        revision=revision,
        module=module,
        tokenizer=weightless.tokenizer,
        texts=TokenTexts(weightless.tokenizer),
        anatomy=weightless.anatomy,
        head=Head(module, weightless.anatomy),
        device=torch.device("cpu"),  # of states that come here
        dtype=dtype,
        d_model=d_model,
        vocabulary=vocabulary,
        context=context_of(config),
        wiring=(check,),
        remote=replace(remote, head=head, device=device, versions=versions),
    )


class Job:
    """What runs one pass on a service: nnsight calls it with the pass that it has written down."""

    def __init__(
        self,
        service: Service,
        model: str,
        on_stage: Callable[[str], None] = lambda stage: None,
    ) -> None:
        """Prepare it; nothing is sent yet.

        Args:
            service: the service.
            model: what the service calls the model.
            on_stage: called with each state of the job, in a few words.
        """
        self._service = service
        self._model = model
        self._on_stage = on_stage

    def __call__(self, tracer: Any) -> None:
        """Send the pass, wait for its result, and give it to the frame that the pass was written in.

        Raises:
            LensError: as `Service.run` does, or if the result is damaged.
        """
        import zstandard
        from nnsight.schema.config import CONFIG
        from nnsight.schema.request import RequestModel
        from nnsight.tracing.util import push

        CONFIG.API.APIKEY = self._service.key  # of this process alone: it is written nowhere
        request = RequestModel(model_key=self._model, compress=True)
        payload = RequestModel.serialize(tracer, compress=True)
        content = self._service.run(
            request.metadata(),
            payload,
            lambda state: self._on_stage(f"{self._service.name}: {state}"),
        )
        try:
            plain = zstandard.ZstdDecompressor().decompress(content)
            result = torch.load(BytesIO(plain), map_location="cpu", weights_only=True)
        except Exception as error:  # zstandard and torch raise nearly every kind on damaged bytes
            raise LensError(f"The result from {self._service.name} is damaged: try again.") from error
        if not isinstance(result, dict):
            raise LensError(f"The result from {self._service.name} is none: try again.")
        push(tracer.info.frame, result)
