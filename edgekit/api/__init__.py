"""The way through the house, one function an arrow:

model ──export──▶ Graph ──profile──▶ Profile ──partition──▶ Front ∋ Plan ──deploy──▶ Pipeline ──verify──▶ Trace

from edgekit import api

graph, model = api.load("net.onnx")
cluster = api.survey(api.read_cluster("cluster.toml"), graph)
front, profiles = api.partition(graph, model, cluster, api.profile(graph, model, cluster), measure=True)
with api.deploy(front.knee(), graph, model, cluster) as pipeline:
    trace = api.verify(pipeline)
"""

from typing import TYPE_CHECKING

from edgekit.imports import postpone

if TYPE_CHECKING:  # each is imported when it is first used
    from devices.chaos import Chaos, Faults
    from devices.inventory import known as all_devices
    from edgekit.accuracy.judge import Judge
    from edgekit.api.auto import auto
    from edgekit.api.benches import Bench, bench, named_device
    from edgekit.api.clusters import HERE, cluster_name, keep_survey, keep_tunings, pipeline_name, read_cluster
    from edgekit.api.demo import demo
    from edgekit.api.evaluation import Evaluated, evaluate, measure_losses
    from edgekit.api.evolution import evolved, trial_of
    from edgekit.api.fallbacks import fallbacks
    from edgekit.api.firmware_fits import BoardFit, known_boards, network_fits
    from edgekit.api.firmwares import build_firmware, flash_command, flash_firmware, next_commands, running_firmware
    from edgekit.api.memory_needs import needs
    from edgekit.api.pipelines import deploy, deploy_to_stay, roll_back, verify
    from edgekit.api.precisions import Quantized, quantize
    from edgekit.api.predictors import learn, predict_profiles, read_predictor
    from edgekit.api.runs import Run, report
    from edgekit.api.surveys import survey, take_survey
    from edgekit.api.template import first_cluster, write_first_cluster
    from edgekit.api.tunings import tune
    from edgekit.api.workflow import export, load, partition, predict, profile, read_costs, read_front, read_plan, read_profile
    from edgekit.deploy.client.client import Streaming
    from edgekit.deploy.client.result_files import ResultWriter
    from edgekit.deploy.client.submission import Submitting
    from edgekit.deploy.observe.doctor import examine
    from edgekit.deploy.observe.perfetto import clock_words, trace_events
    from edgekit.deploy.observe.rates import LinkRate, StageRate
    from edgekit.deploy.observe.recording import Recorder, Recording
    from edgekit.deploy.observe.status import Observer, Status
    from edgekit.deploy.observe.stragglers import Slow
    from edgekit.deploy.serve.attachment import attach, connect
    from edgekit.deploy.serve.deployment_record import deployed, deployed_names, find_record, home_of
    from edgekit.deploy.serve.deployments import end
    from edgekit.deploy.serve.pipeline import Pipeline
    from edgekit.deploy.serve.transport_check import transport_of
    from edgekit.frame_files import read_frames
    from edgekit.front import Question
    from edgekit.onnxio import Model
    from edgekit.profile import Profile
    from edgekit.report.difference import differences, shifts
    from edgekit.report.profile_tables import Row as KernelRow
    from edgekit.report.profile_tables import by_type, in_order, kernels_csv, perfetto, reconcile, top
    from edgekit.report.write import write_winners
    from edgekit.runtime.log import Event
    from partitioner.reasons import explain
    from partitioner.whatif import sweep
    from profilers.links.link_fit import with_links

__all__ = [
    "HERE",
    "Bench",
    "BoardFit",
    "Chaos",
    "Evaluated",
    "Event",
    "Faults",
    "Judge",
    "KernelRow",
    "LinkRate",
    "Model",
    "Observer",
    "Pipeline",
    "Profile",
    "Quantized",
    "Question",
    "Recorder",
    "Recording",
    "ResultWriter",
    "Run",
    "Slow",
    "StageRate",
    "Status",
    "Streaming",
    "Submitting",
    "all_devices",
    "attach",
    "auto",
    "bench",
    "build_firmware",
    "by_type",
    "clock_words",
    "cluster_name",
    "connect",
    "demo",
    "deploy",
    "deploy_to_stay",
    "deployed",
    "deployed_names",
    "differences",
    "end",
    "evaluate",
    "evolved",
    "examine",
    "explain",
    "export",
    "fallbacks",
    "find_record",
    "first_cluster",
    "flash_command",
    "flash_firmware",
    "home_of",
    "in_order",
    "keep_survey",
    "keep_tunings",
    "kernels_csv",
    "known_boards",
    "learn",
    "load",
    "measure_losses",
    "named_device",
    "needs",
    "network_fits",
    "next_commands",
    "partition",
    "perfetto",
    "pipeline_name",
    "predict",
    "predict_profiles",
    "profile",
    "quantize",
    "read_cluster",
    "read_costs",
    "read_frames",
    "read_front",
    "read_plan",
    "read_predictor",
    "read_profile",
    "reconcile",
    "report",
    "roll_back",
    "running_firmware",
    "shifts",
    "survey",
    "sweep",
    "take_survey",
    "top",
    "trace_events",
    "transport_of",
    "trial_of",
    "tune",
    "verify",
    "with_links",
    "write_first_cluster",
    "write_winners",
]

postpone(__name__)
