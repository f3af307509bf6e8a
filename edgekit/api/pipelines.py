"""Deploys, verifies and replaces pipelines, and shows the progress of each."""

from edgekit.api.display import showing, showing_start
from edgekit.deploy import certify, pipeline, standing

__all__ = ["deploy", "deploy_to_stay", "roll_back", "verify"]

deploy = showing_start("deploying")(pipeline.deploy)
deploy_to_stay = showing("deploying")(standing.deploy_to_stay)
roll_back = showing("rolling back")(standing.roll_back)
verify = showing("verifying")(certify.certify)
