"""Control of sparsity: weight schedules and controllers of active terms."""
