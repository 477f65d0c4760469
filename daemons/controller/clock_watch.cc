// SPDX-License-Identifier: Apache-2.0
#include "daemons/controller/clock_watch.h"

#include "base/log.h"
#include "store/jobs.h"

namespace cvlan::controller {

using std::chrono::duration_cast;
using std::chrono::seconds;

void ClockWatch::look() {
    const auto off = clock_.disbelieved();
    if ((off.count() != 0) == is_off_) return;
    is_off_ = !is_off_;
    if (is_off_)
        log::error("controller.clock_jumped", {{"seconds", duration_cast<seconds>(off).count()},
                                               {"taken", rfc3339(clock_.now())}});
    else
        log::info("controller.clock_right_again", {{"taken", rfc3339(clock_.now())}});
}

Result<void> check_clock(store::Store& store, WallTime now) {
    auto jobs = store.jobs().list({});
    if (!jobs) return failed(jobs.error());
    WallTime latest{};
    for (const store::Job& job : jobs->items)
        latest =
            std::max({latest, job.started_at.value_or(latest), job.finished_at.value_or(latest)});
    if (latest - now < AnchoredClock::kBelieved) return {};
    return fail(Code::Conflict,
                "the clock says {}, and the database was written to at {}: put the clock right, or "
                "where that was wrong, start with --trust-clock",
                rfc3339(now), rfc3339(latest));
}

}  // namespace cvlan::controller
