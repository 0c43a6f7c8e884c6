"""What each input, and each step, contributed to an output."""

from lstm_jax.insight.attribution.gradients import gradient_times_input, integrated_gradients
from lstm_jax.insight.attribution.occlusions import occlusion
from lstm_jax.insight.attribution.relevance import relevance
from lstm_jax.insight.attribution.results import Attribution

__all__ = ["Attribution", "gradient_times_input", "integrated_gradients", "occlusion", "relevance"]
