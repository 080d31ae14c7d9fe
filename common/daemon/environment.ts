/** As `process.env`, so that a test brings its own. */
export type ProcessEnvironment = Readonly<Record<string, string | undefined>>;
