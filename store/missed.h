// SPDX-License-Identifier: Apache-2.0
#pragma once

// What a listener hears where events were taken away before this process had read them.

#include "store/event.h"

namespace cvlan::store {

// In no row. Its revision is the last that was missed: until then anything of the tenant may have
// become another than the listener knows.
inline constexpr EventKind kEventsMissed = static_cast<EventKind>(-1);

}  // namespace cvlan::store
