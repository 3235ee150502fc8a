export interface Problem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly code: string;
  readonly errors?: readonly { index?: number; line?: number; field?: string; detail: string }[];
}

/** What `fetch` and a raw socket give. */
type Answer = Response | { status: number; headers: Readonly<Record<string, string>>; text: string };

/** The problem document of an answer; throws if it is none, or not a whole one. */
export async function problemOf(answer: Answer): Promise<Problem> {
  const text = answer instanceof Response ? await answer.text() : answer.text;
  const contentType =
    answer instanceof Response ? answer.headers.get("content-type") : answer.headers["content-type"];
  if (!/^application\/problem\+json(;|$)/.test(contentType ?? "")) {
    throw new Error(`Not a problem document: ${answer.status}, ${contentType}, ${text.slice(0, 500)}`);
  }
  const problem = JSON.parse(text) as Problem;
  for (const member of ["type", "title", "detail", "code"] as const) {
    if (typeof problem[member] !== "string" || problem[member] === "") {
      throw new Error(`A problem document without ${member}: ${text}`);
    }
  }
  if (problem.status !== answer.status) {
    throw new Error(`A problem document whose status is not that of the answer, ${answer.status}: ${text}`);
  }
  return problem;
}
