variable "host" {
  description = "The platform's URL; null: that of KOREAI_HOST."
  type        = string
  default     = null
}

# Ranges and choices are checked by the provider, at each attribute, in `terraform validate` and `plan`.
variable "models" {
  description = "The models, by the name that each has in the state."
  type = map(object({
    model_id        = string
    deployment_name = string
    model_type      = optional(string)
    device_type     = string
    hyper_parameters = object({
      temperature   = number
      max_tokens    = number
      top_p         = number
      top_k         = number
      stop_sequence = optional(list(string))
    })
    scaling_parameters = optional(object({
      max_batch_size   = optional(number)
      min_replicas     = optional(number)
      max_replicas     = optional(number)
      scale_up_delay   = optional(number)
      scale_down_delay = optional(number)
    }))
    optimization_info = optional(object({
      optimization_type = optional(string)
      quantization_type = optional(string)
    }))
    deployed        = optional(bool)
    adopt           = optional(bool)
    update_strategy = optional(string)
    timeouts = optional(object({
      create = optional(string)
      update = optional(string)
      delete = optional(string)
    }))
  }))

  validation {
    condition     = length(distinct([for model in var.models : model.model_id])) == length(var.models)
    error_message = "Two entries have the same model_id; a model has one deployment, so one entry."
  }
}
