"""Deploys, verifies and replaces pipelines, and shows the progress of each."""

from edgekit.api.display import showing, showing_start
from edgekit.deploy.observe import certify
from edgekit.deploy.serve import deployments, pipeline

__all__ = ["deploy", "deploy_to_stay", "roll_back", "verify"]

deploy = showing_start("deploying")(pipeline.deploy)
deploy_to_stay = showing("deploying")(deployments.deploy_to_stay)
roll_back = showing("rolling back")(deployments.roll_back)
verify = showing("verifying")(certify.certify)
