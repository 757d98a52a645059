terraform {
  required_version = ">= 1.5"

  required_providers {
    koreai = {
      source = "terraform.local/pulumi-koreai/koreai"
    }
  }
}

# The host and the key come from KOREAI_HOST and KOREAI_API_KEY where they are not given here.
provider "koreai" {
  host = var.host
}
