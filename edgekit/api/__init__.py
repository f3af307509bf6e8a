"""The way through the house, one function an arrow:

model ──export──▶ Graph ──profile──▶ Profile ──partition──▶ Front ∋ Plan ──deploy──▶ Pipeline ──verify──▶ Trace

from edgekit import api

graph, model = api.load("net.onnx")
cluster = api.survey(api.read_cluster("cluster.toml"), graph)
front, profiles = api.partition(graph, model, cluster, api.profile(graph, model, cluster), measure=True)
with api.deploy(front.knee(), graph, model, cluster) as pipeline:
    trace = api.verify(pipeline)
"""

from devices.inventory import known as all_devices
from edgekit.api.demo import demo
from edgekit.api.runs import Run, report
from edgekit.api.steps import export, load, partition, predict, profile, read_cluster, read_plan
from edgekit.api.surveys import survey, take_survey, update_links
from edgekit.deploy.certify import certify as verify
from edgekit.deploy.doctor import examine
from edgekit.deploy.frameio import ResultWriter, read_frames
from edgekit.deploy.observing import Observer, Status
from edgekit.deploy.pipeline import Pipeline, deploy
from edgekit.deploy.record import deployed, home_of
from edgekit.deploy.standing import attach, deploy_to_stay, end, roll_back
from profilers.links import with_links

__all__ = [
    "Observer",
    "Pipeline",
    "ResultWriter",
    "Run",
    "Status",
    "all_devices",
    "attach",
    "demo",
    "deploy",
    "deploy_to_stay",
    "deployed",
    "end",
    "examine",
    "export",
    "home_of",
    "load",
    "partition",
    "predict",
    "profile",
    "read_cluster",
    "read_frames",
    "read_plan",
    "report",
    "roll_back",
    "survey",
    "take_survey",
    "update_links",
    "verify",
    "with_links",
]
