"""What a release is made of: the wheel, the source distribution, the SBOM and the Terraform provider.

`python -m release` with `PYTHONPATH=tools` runs the steps, which `.github/workflows/release.yml` runs on a tag.
"""
