"""The worker process of asrpro: one engine and one model. The process ends to return its memory."""
