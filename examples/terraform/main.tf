resource "koreai_model_deployment" "this" {
  for_each = var.models

  model_id           = each.value.model_id
  deployment_name    = each.value.deployment_name
  model_type         = each.value.model_type
  device_type        = each.value.device_type
  hyper_parameters   = each.value.hyper_parameters
  scaling_parameters = each.value.scaling_parameters
  optimization_info  = each.value.optimization_info
  deployed           = each.value.deployed
  adopt              = each.value.adopt
  update_strategy    = each.value.update_strategy
  timeouts           = each.value.timeouts

  lifecycle {
    # Another model_id is another model: the new one is deployed before the old one is undeployed.
    create_before_destroy = true
  }
}
