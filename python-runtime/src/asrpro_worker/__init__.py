"""The worker process of asrpro: one engine, one model, ended to give its memory back."""
