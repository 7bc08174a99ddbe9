"""From a trained model to where it runs: planner, export, conformance of endpoints, publishing."""
