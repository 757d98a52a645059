output "models" {
  description = "Each model's state and the dock job that led to it."
  value = {
    for name, model in koreai_model_deployment.this : name => {
      state = model.state
      job   = model.dock_status_id
    }
  }
}
