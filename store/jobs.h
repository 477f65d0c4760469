// SPDX-License-Identifier: Apache-2.0
#pragma once

// Jobs: work that is done again and again, and by one controller at a time. Who does one holds its
// lease, whose number is a fencing token: a store under that lease (Store::under) writes only while
// the number stands, checked in the transaction of each write, and each write prolongs the lease.
// A controller that stood still for longer than its lease, while another took the job, writes
// nothing for it any more.

#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "store/listing.h"

namespace cvlan::store {

class SqlStore;

struct Lease {
    std::string job;  // its name
    int64_t number = 0;
};

struct Job {
    std::string id;
    std::string name;
    WallTime next_run_at{};
    std::string holder;  // empty: nobody is at it
    WallTime leased_until{};
    std::optional<WallTime> started_at;
    std::optional<WallTime> finished_at;
    bool has_succeeded = true;  // the last time
    std::string result;         // of the last time
    Revision revision = 0;      // counts whatever happens to it
};

// What a job has come to.
struct JobEnd {
    bool has_succeeded = true;
    std::string result;
    WallTime next_run_at{};
};

// The store's verbs about jobs, got by Store::jobs(); valid as long as that store.
class Jobs {
public:
    explicit Jobs(SqlStore& store) : store_(store) {}

    // Makes what is missing, to run at once.
    Result<void> ensure(const std::vector<std::string>& names);
    Result<Page<Job>> list(const Filter& filter);
    Result<Job> job(const std::string& id);
    // To be run now, by whoever is free; an entry of the operator's audit.
    Result<Job> request_run(const std::string& id);

    // Nothing where the job is not due, or where another is at it.
    Result<std::optional<Lease>> take(const std::string& name, const std::string& holder);
    // Conflict where the lease is another's by now.
    Result<void> finish(const Lease& lease, const JobEnd& end);
    // How long a lease holds after it was taken or prolonged.
    static constexpr std::chrono::seconds kLease{60};

    // What jobs work through, in slices: each tells how many rows went, 0 at the end.
    Result<std::vector<std::string>> audit_chains();
    Result<int64_t> prune_events(const std::string& tenant_id, WallTime before);
    Result<int64_t> prune_tokens(WallTime expired_before);
    // Whether delete_idle_nodes or expire_due_keys would find one.
    Result<bool> has_due_nodes(WallTime up_since);
    // Active nodes whose certificate ends before this.
    Result<int64_t> certificates_ending(WallTime before);

private:
    Result<Job> find(const std::string& id);

    SqlStore& store_;
};

}  // namespace cvlan::store
