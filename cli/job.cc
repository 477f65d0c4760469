// SPDX-License-Identifier: Apache-2.0
#include "base/bytes.h"
#include "cli/commands.h"
#include "cli/output.h"

namespace cvlan::cli {

namespace wire = model::wire;

static std::string state_of(const wire::Job& job) {
    if (job.running) return "running";
    if (!job.finished_at) return "new";
    return job.succeeded.value_or(true) ? "done" : "failed";
}

static Row row_of(const wire::Job& job) {
    return {job.name, state_of(job), time_text(job.finished_at), time_text(job.next_run_at),
            job.result.value_or("")};
}

int job_list(const Args& args, Io& io) {
    auto session = connect(args);
    if (!session) return fail(io, session.error());
    auto asked = listing_of(args, "job", *session);
    if (!asked) return fail(io, asked.error());
    auto list = session->controller.list_jobs(*asked);
    if (!list) return fail(io, list.error());
    std::vector<Row> rows;
    for (const wire::Job& job : list->jobs) rows.push_back(row_of(job));
    return print_list(args, io, *list, {"NAME", "STATE", "LAST RUN", "NEXT RUN", "RESULT"}, rows);
}

}  // namespace cvlan::cli
