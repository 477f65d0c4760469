// SPDX-License-Identifier: Apache-2.0
#include "api/jobs.h"

#include "api/error.h"
#include "base/log.h"
#include "store/jobs.h"

namespace cvlan::api {

namespace wire = model::wire;

namespace {

wire::Job to_wire(const store::Job& job, WallTime now) {
    wire::Job answer;
    answer.id = job.id;
    answer.name = job.name;
    answer.next_run_at = job.next_run_at;
    const bool is_running = job.leased_until > now;
    answer.running = is_running;
    if (is_running) answer.holder = job.holder;
    answer.started_at = job.started_at;
    answer.finished_at = job.finished_at;
    if (job.finished_at) answer.succeeded = job.has_succeeded;
    if (job.finished_at) answer.result = job.result;
    return answer;
}

}  // namespace

http::Response list_jobs(Context& context, const Call& call, const AdminIdentity&) {
    auto jobs = context.store.jobs().list();
    if (!jobs) return error_response(jobs.error(), call.request.request_id);
    wire::JobList list;
    for (const store::Job& job : *jobs) list.jobs.push_back(to_wire(job, context.clock.now()));
    return json_response(200, list);
}

http::Response run_job(Context& context, const Call& call, const AdminIdentity& who) {
    auto job = call.store.jobs().request_run(call.id);
    if (!job) return error_response(job.error(), call.request.request_id);
    log::info("api.job_requested", {{"job", job->name}, {"actor", who.actor}});
    return json_response(202, to_wire(*job, context.clock.now()));
}

}  // namespace cvlan::api
