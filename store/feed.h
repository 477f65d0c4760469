// SPDX-License-Identifier: Apache-2.0
#pragma once

// How an engine hears that another process has changed its database. Only store includes it.

#include "base/result.h"

namespace cvlan::store {

class Engine;

class Feed {
public:
    Feed() = default;
    Feed(const Feed&) = delete;
    Feed& operator=(const Feed&) = delete;
    virtual ~Feed() = default;
    // From now on it calls the engine's catch_up.
    virtual void start(Engine& engine) = 0;
    // Something was not read: catches up with all, soon.
    virtual void fall_behind() = 0;
};

}  // namespace cvlan::store
