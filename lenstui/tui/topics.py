"""The topics of the keys, and the words that lead to a key beside those of its description.

Every binding with an id has one entry here, whatever keys it has. Words are what people search for in the
list of keys and in the command palette; a word for something that no key does leads nowhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

LOOK, COMPARE, EXPLAIN, LENSES, SETS, EXPORT, SETTINGS, MOVING, GENERAL = (
    "look", "compare", "explain", "lenses", "sets", "export", "settings", "moving", "general",
)  # fmt: skip
# In the order in which they are listed; each with a few words on what it is about.
HEADINGS: Mapping[str, str] = {
    LOOK: "look: the prompt, its cells, pinned words",
    COMPARE: "compare: lenses, models and prompts side by side",
    EXPLAIN: "explain: where an answer comes from",
    LENSES: "lenses: train, open, save",
    SETS: "sets: many prompts at once",
    EXPORT: "export: files and the clipboard",
    SETTINGS: "settings: the model, how it is read, the colours",
    MOVING: "moving",
    GENERAL: "general: help, leaving",
}
# For each topic the ids of its bindings, in the order in which they are listed, with more words for each.
_IDS: Mapping[str, Mapping[str, str]] = {
    LOOK: {
        "explore.menu": "menu actions what can i do here context",
        "explore.prompt": "text input type write edit query sentence",
        "explore.value": "colour color heatmap metric measure probability entropy kl divergence js rank"
        " agreement surprise logprob confidence uncertainty",
        "explore.value_back": "colour color heatmap metric measure",
        "explore.open_cell": "zoom details ranking top-k candidates logits probabilities predictions list",
        "explore.taller": "zoom in bigger larger enlarge top-k candidates more tokens",
        "explore.flatter": "zoom out smaller shrink fewer tokens",
        "explore.contents": "numbers probabilities values hide show text only",
        "explore.flip": "order direction upside down reverse layers rows",
        "explore.pin": "track watch follow word target answer",
        "explore.pin_word": "track watch follow target answer phrase whole several tokens",
        "explore.pins": "list tracked watched words targets",
        "explore.plot": "graph chart curve line trajectory layers probability rank logprob",
        "explore.append": "add next token extend continue",
        "explore.step_back": "undo remove delete token",
        "explore.stop": "cancel interrupt abort",
        "pins.first": "order primary main target top",
        "pins.unpin": "remove delete untrack",
        "cell.menu": "menu actions what can i do here context",
        "prompt.read": "run submit start read go",
        "prompt.clear": "empty delete erase new start over",
        "prompt.newline": "line break paragraph",
        "generation.next": "",
        "generation.previous": "",
    },
    COMPARE: {
        "explore.difference": "diff subtract minus delta compare contrast",
        "explore.other_kind": "compare switch logit lens tuned lens",
        "explore.beside": "compare second model checkpoint revision dtype base finetuned",
        "explore.second_prompt": "compare counterfactual contrast minimal pair text",
        "explore.add_side": "compare pane column third new",
        "explore.remove_side": "close pane delete",
        "explore.other": "switch pane focus left right active tab",
        "lenses.compare": "side by side versus",
        "prompts.beside": "compare second prompt contrast",
        "cell.other": "switch pane tab",
    },
    EXPLAIN: {
        "explore.sublayers": "direct logit attribution dla residual stream components attention mlp"
        " contribution decompose layers blocks logits",
        "explore.words_only": "readout filter punctuation hide stop tokens letters digits words",
        "explore.crystallization": "crystallization settle converge decided layer depth emergence final",
        "explore.trust": "dim doubt reliable reliability quality held-out kl convergence evaluation overlay",
        "explore.why": "attribution dla direct logit attribution heads neurons mlp circuit components"
        " contributions cause reason attention",
        "why.help": "keys",
        "why.other": "switch focus list map",
        "why.ablate": "knock out zero remove restore edit causal",
        "why.token": "target answer another word",
        "why.minus": "logit difference contrast subtract",
        "why.copy_command": "clipboard yank reproduce script command line cli",
        "explore.edit": "what if intervention intervene edit ablate ablation knock out zero patch patching"
        " activation causal counterfactual effect",
        "explore.trace": "causal tracing activation patching patch corrupted clean noise rome restore"
        " recover indirect effect localize localise",
        "trace.what": "residual stream attention mlp heads component",
        "trace.metric": "measure logit difference log-probability kl",
        "trace.estimate": "attribution patching approximate gradient fast first order",
        "trace.change": "corruption noise window token options again",
        "trace.stop": "cancel interrupt abort",
        "trace.go_to": "cell jump explore",
        "trace.patch": "edit intervene patch what if",
        "trace.help": "keys",
        "edits.switch": "toggle enable disable on off",
        "edits.change": "type edit again",
        "edits.remove": "delete take away",
        "edits.down": "order reorder move",
        "edits.up": "order reorder move",
        "edits.undo": "take back revert",
        "edits.other": "switch focus",
        "explore.first_row": "layer emerge appears when search word depth",
        "explore.generate": "continue sample complete completion decode predict early-exit layer temperature",
    },
    LENSES: {
        "app.train": "fit learn translator optimise optimize",
        "app.lenses": "load list tuned lens files choose",
        "explore.instant": "instant lens closed form make fit quick tuned",
        "lenses.menu": "menu actions what can i do here context",
        "lenses.use": "load open apply select choose",
        "lenses.hub": "hub download huggingface published repository online internet search find",
        "lenses.stop": "cancel interrupt abort download close leave",
        "lenses.browse": "load file folder disk import",
        "lenses.save": "write file disk store export lens",
        "lenses.save_folder": "write tuned-lens library params.pt store export lens",
        "form.start": "train fit begin run",
        "form.browse": "data dataset corpus load file",
        "fit.pause": "resume hold wait continue",
        "fit.keep": "save finish store write stop",
        "fit.discard": "abort cancel delete stop",
        "fit.again": "train restart new",
        "quit.checkpoint": "save resume training",
        "quit.discard": "abort delete training",
    },
    SETS: {
        "explore.prompts": "dataset batch file jsonl many examples facts average mean aggregate",
        "prompts.menu": "menu actions what can i do here context",
        "prompts.open": "explore show read case",
        "prompts.file": "load dataset open jsonl parquet",
        "prompts.browse": "load dataset open file folder",
        "prompts.filter": "search find select words",
        "prompts.sort": "order rank column",
        "prompts.sort_back": "order rank column",
        "prompts.reverse": "order descending ascending",
        "prompts.group": "category subset select",
        "prompts.group_back": "category subset select",
        "prompts.outliers": "anomaly detection reference unusual injection isolation forest lof mahalanobis"
        " trajectory",
        "prompts.browse_reference": "anomaly detection load open file folder",
        "prompts.normal": "auroc roc auc labels classes",
        "prompts.value": "average mean plot metric entropy kl rank probability js",
        "prompts.value_back": "average mean plot metric",
        "prompts.stop": "cancel interrupt abort",
    },
    EXPORT: {
        "explore.export": "save write csv json svg html markdown parquet figure picture image screenshot"
        " table copy clipboard file report pandas paper",
        "explore.copy_cell": "clipboard yank tokens",
        "explore.copy_command": "clipboard yank reproduce script command line cli",
        "why.export": "save write csv json svg html markdown table figure copy clipboard attribution",
        "prompts.export": "save write csv json markdown parquet table file pandas copy clipboard report",
        "prompts.copy_command": "clipboard yank reproduce script command line cli",
        "export.to_file": "save write disk",
        "trace.export": "save write csv json markdown table file pandas copy clipboard report",
        "trace.copy_command": "clipboard yank reproduce script command line cli",
    },
    SETTINGS: {
        "explore.reading": "layers rows stride bos chat template norm options how read skip",
        "app.model": "load switch checkpoint huggingface hub download open gguf",
        "app.revision_back": "checkpoint step training history earlier",
        "app.revision_next": "checkpoint step training history later",
        "model.dtype": "precision float32 bfloat16 float16 half",
        "model.complete": "autocomplete fill",
        "choice.before": "",
        "choice.next": "",
        "reading.apply": "",
        "ask_trace.start": "",
        "ask_trace.next": "",
        "ask_trace.previous": "",
        "reading.next": "",
        "reading.previous": "",
        "form.next": "",
        "form.before": "",
    },
    MOVING: {
        "grid.up": "arrow layer above",
        "grid.down": "arrow layer below",
        "grid.left": "arrow token position",
        "grid.right": "arrow token position",
        "map.up": "block above",
        "map.down": "block below",
        "map.left": "attention head",
        "map.right": "attention head",
        "map.page_up": "scroll",
        "map.page_down": "scroll",
        "map.page_left": "scroll",
        "map.page_right": "scroll",
        "map.home": "start attention",
        "map.end": "mlp",
        "grid.page_left": "scroll",
        "grid.page_right": "scroll",
        "grid.page_up": "scroll",
        "grid.page_down": "scroll",
        "grid.first_column": "start beginning",
        "grid.last_column": "end",
        "grid.top": "start",
        "grid.bottom": "end",
        "explore.find": "search token word column jump locate",
        "explore.next": "search again forward",
        "explore.previous": "search again backward",
        "explore.go_to": "jump column row layer position number",
        "cell.left": "",
        "cell.down": "",
        "cell.up": "",
        "cell.right": "",
        "cell.line_down": "scroll",
        "cell.line_up": "scroll",
        "cell.page_down": "scroll",
        "cell.page_up": "scroll",
        "cell.first": "start top",
        "cell.last": "end bottom",
        "pins.down": "",
        "pins.up": "",
        "pins.home": "",
        "pins.end": "",
        "lenses.down": "",
        "lenses.up": "",
        "lenses.first": "",
        "lenses.last": "",
        "lenses.page_up": "scroll",
        "lenses.page_down": "scroll",
        "lenses.other": "scroll card focus",
        "prompts.down": "",
        "prompts.up": "",
        "prompts.page_down": "scroll",
        "prompts.page_up": "scroll",
        "prompts.first": "",
        "prompts.last": "",
        "prompts.other": "switch focus means",
        "model.down": "",
        "model.up": "",
        "model.page_down": "scroll",
        "model.page_up": "scroll",
        "export.down": "",
        "export.up": "",
        "bars.down": "",
        "bars.up": "",
    },
    GENERAL: {
        "app.help": "keys shortcuts bindings manual hotkeys cheatsheet",
        "app.commands": "palette menu actions search theme dark light colours colors",
        "app.quit": "exit close end leave",
        "app.quit_always": "exit close end leave",
        "prompt.leave": "",
        "pins.leave": "close",
        "cell.help": "",
        "cell.commands": "",
        "cell.back": "close leave",
        "lenses.help": "",
        "lenses.commands": "",
        "lenses.back": "close leave",
        "prompts.help": "",
        "prompts.commands": "",
        "prompts.leave": "close",
        "prompts.back": "close leave cancel",
        "form.help": "",
        "fit.help": "",
        "train.commands": "",
        "train.back": "close leave",
        "model.close": "",
        "export.close": "",
        "word.close": "",
        "edits.close": "cancel back leave",
        "why.back": "close leave",
        "why.commands": "palette actions",
        "trace.back": "close leave",
        "trace.commands": "palette actions",
        "ask_trace.close": "",
        "reading.close": "",
        "generation.close": "",
        "question.yes": "",
        "question.no": "",
        "quit.stay": "",
    },
}


@dataclass(frozen=True, slots=True)
class Entry:
    """The topic of a binding, its place among all, and the words that lead to it.

    Attributes:
        topic: the topic.
        place: the place of the binding in the order of all topics.
        words: words that people search for, beside those of the binding's description.
    """

    topic: str
    place: int
    words: str = ""


def _entries() -> Mapping[str, Entry]:
    listed = [(topic, name, words) for topic, ids in _IDS.items() for name, words in ids.items()]
    return {name: Entry(topic, place, words) for place, (topic, name, words) in enumerate(listed)}


TOPICS: Mapping[str, Entry] = _entries()
"""The entry of each binding, by its id."""
