/** What bounds the agent streams of one coordinator. Change it for fleets beyond some thousand agents, and in tests. */
export type FleetTuning = {
  /** Heartbeats of a small fleet are this far apart, milliseconds; and receipts, at the least. */
  readonly heartbeatMinMs: number;
  /** Each agent makes the interval of all this much longer, milliseconds, so that the sum stays bounded. */
  readonly heartbeatPerAgentMs: number;
  readonly heartbeatMaxMs: number;
  /** Heartbeats without a word from an agent before it counts as lost. */
  readonly heartbeatsMissed: number;
  /** How long a new stream may stay silent, milliseconds. */
  readonly helloTimeoutMs: number;
  /** Observations after which a receipt is sent before its time. */
  readonly acknowledgeEvery: number;
  /** Streams opened per second after the burst: a TLS handshake costs about 4 ms. */
  readonly admitPerSecond: number;
  readonly admitBurst: number;
  /** An agent that would have to wait longer for its turn is sent away, milliseconds. */
  readonly admitWaitMaxMs: number;
  /** An agent that stays lost this long is forgotten here, milliseconds; the replicated state keeps its record. */
  readonly forgetAfterMs: number;
};

export const FLEET_TUNING: FleetTuning = {
  heartbeatMinMs: 1_000,
  heartbeatPerAgentMs: 5,
  heartbeatMaxMs: 10_000,
  heartbeatsMissed: 3,
  helloTimeoutMs: 5_000,
  acknowledgeEvery: 1_024,
  admitPerSecond: 200,
  admitBurst: 100,
  admitWaitMaxMs: 10_000,
  forgetAfterMs: 3_600_000,
};
