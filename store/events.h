// SPDX-License-Identifier: Apache-2.0
#pragma once

// The table of events: what changed in each tenant, in the order of its revisions. Only store
// includes it.

#include <map>

#include "store/database.h"
#include "store/types.h"

namespace cvlan::store {

Result<void> write_event(Database& db, const Event& event);

struct EventRange {
    std::string tenant_id;
    Revision after = 0;
    Revision before = 0;
};
// Oldest first, at most `limit`.
Result<std::vector<Event>> read_events(Database& db, const EventRange& range, int limit);

// Of every tenant that has or had any.
Result<std::map<std::string, Revision>> newest_revisions(Database& db);

}  // namespace cvlan::store
