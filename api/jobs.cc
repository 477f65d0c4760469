// SPDX-License-Identifier: Apache-2.0
#include "api/jobs.h"

#include "api/convert.h"
#include "api/respond.h"
#include "base/log.h"
#include "store/jobs.h"

namespace cvlan::api {

namespace wire = model::wire;

namespace {

wire::Job shown_at(const store::Job& job, WallTime now) {
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

auto show_at(WallTime now) {
    return [now](const store::Job& job) { return shown_at(job, now); };
}

}  // namespace

http::Response list_jobs(Context& context, const Call& call, const AdminIdentity& who) {
    auto filter = read_filter(call.query, who);
    if (!filter) return error_response(filter.error(), call.request.request_id);
    return page_response(call, call.store.jobs().list(*filter), &wire::JobList::jobs,
                         show_at(context.clock.now()));
}

http::Response get_job(Context& context, const Call& call, const AdminIdentity&) {
    return object_response(call, 200, call.store.jobs().job(call.id), show_at(context.clock.now()));
}

http::Response run_job(Context& context, const Call& call, const AdminIdentity& who) {
    auto job = call.store.jobs().request_run(call.id);
    if (job && !call.validate_only)
        log::info("api.job_requested", {{"job", job->name}, {"actor", who.actor}});
    return object_response(call, 202, job, show_at(context.clock.now()));
}

}  // namespace cvlan::api
