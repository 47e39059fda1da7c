"""What a model's service imports: logs that never hold up a request, and texts as numbers.

It needs the standard library alone, so that `pip install --no-deps driftd` is enough beside a model.
"""

from monitor.client.log import Log
from monitor.client.text import Vocabulary, refusal, text_numbers

__all__ = ["Log", "Vocabulary", "refusal", "text_numbers"]
