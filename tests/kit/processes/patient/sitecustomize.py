"""What `patient_broker` does, for the workers of a patient broker: Python imports it as each starts."""

from broker.adapters.redis.servers import port

port.ANSWER_SECONDS = 15.0
