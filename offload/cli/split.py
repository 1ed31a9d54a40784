"""The command that shows where a network can be cut, and that its parts answer as the whole does."""

from typing import Annotated

import typer

from offload.cli.common import BadInputError, Json, clear_errors, show_list
from offload.cli.completion import networks as network_names

Inputs = Annotated[
    list[str], typer.Option("--input", help='One input, "3,224,224" or "128:int64"; repeatable.')
]
Example = Annotated[
    str, typer.Option(help="module:function that makes the tuple of inputs for a batch.")
]


def split(
    model: Annotated[
        str,
        typer.Argument(
            help="A named network, module:factory, or FILE.pt2.", autocompletion=network_names
        ),
    ],
    variant: Annotated[str, typer.Option(help="fp32, bf16, int8, ...")] = "fp32",
    cuts: Annotated[int, typer.Option(min=0, help="How many cuts to try; 0 for all.")] = 8,
    inputs: Inputs = [],  # noqa: B006
    example: Example = "",
    json_: Json = False,
) -> None:
    """Cut a network and run its two parts: what crosses, what they need, whether they answer alike."""
    with clear_errors():
        import torch

        from offload.dnn import zoo
        from offload.dnn.capturing import captured, same
        from offload.dnn.graph import split as parts
        from offload.dnn.network import parse_input

        network = zoo.network(model, tuple(parse_input(text) for text in inputs), example)
        module, given = zoo.variant(network, variant), network.example(1)
        graph = captured(f"{network.name}:{variant}", module, given)
        last = len(graph.cuts) - 1
        tried = (
            {round(number * last / (cuts - 1)) for number in range(cuts)} if cuts > 1 else {last // 2}
        )
        rows, wrong = [], []
        with torch.inference_mode():
            whole = module(*(each.clone() for each in given))
            for number in sorted(tried) if cuts else range(last + 1):
                before, after = parts(graph, number)
                exact = same(after(*before(*(each.clone() for each in given))), whole)
                wrong += [] if exact else [str(number)]
                cut = graph.cuts[number]
                rows.append(
                    {
                        "cut": number,
                        "tensors": cut.tensors,
                        "kB": cut.payload_bytes / 1e3,
                        "MB_before": cut.before_bytes / 1e6,
                        "MB_after": cut.after_bytes / 1e6,
                        "exact": "yes" if exact else "no",
                        "after": graph.layers[cut.after - 1].name if cut.after else "(input)",
                    }
                )
        show_list(rows, list(rows[0]), json_)
        if wrong:
            msg = f"{network.name}:{variant}: cut at {', '.join(wrong)}, it answers otherwise than whole"
            raise BadInputError(msg)
