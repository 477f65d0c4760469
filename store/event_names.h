// SPDX-License-Identifier: Apache-2.0
#pragma once

// What events are called in the audit and by webhooks. The names are for programs: they stay.

#include <optional>
#include <string_view>

#include "store/types.h"

namespace cvlan::store {

struct EventName {
    std::string_view name;         // "NETWORK_CREATED"
    std::string_view object_kind;  // "network"
};
EventName name_of(EventKind kind);
std::optional<EventKind> event_kind_of(std::string_view name);

}  // namespace cvlan::store
