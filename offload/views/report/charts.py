"""All charts of a report, in the order in which they tell it."""

from offload.analysis.story import Story
from offload.analysis.watching import watch
from offload.views.report.best_split import split_map
from offload.views.report.chart import Chart
from offload.views.report.fronts import differences, fronts
from offload.views.report.latency import latency_cdf, legs
from offload.views.report.over_time import load_over_time, plans_over_time


def charts(story: Story) -> list[Chart]:
    """Draw what a comparison, or a single run, came to; what has nothing to show is left out."""
    seen = watch(story)
    drawn = [
        latency_cdf(story),
        legs(story),
        *fronts(story),
        plans_over_time(story, seen),
        load_over_time(story, seen),
        differences(story),
        split_map(story, seen),
    ]
    return [each for each in drawn if each is not None]
