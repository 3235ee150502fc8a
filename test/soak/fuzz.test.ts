import { fuzz } from "../support/fuzz.ts";

/** `FUZZ_INPUTS=1000000 FUZZ_SEED=7 npm run test:soak` */
fuzz(Number(process.env["FUZZ_INPUTS"] ?? 50_000));
