// SPDX-License-Identifier: Apache-2.0
#pragma once

// How much of a map's life is over: the controller's signed times say how long it lives, the boot
// clock, which nobody sets, how much of that has passed. The wall clock is asked only for the time
// between two boots, and there a clock that went back counts as no time. So a wrong clock neither
// revives a map nor ends one while we run.

#include <chrono>
#include <string>

#include "base/clock.h"
#include "model/state.h"
#include "model/wire.h"

namespace cvlan::agent {

class MapLife {
public:
    // `boot_id` is /proc/sys/kernel/random/boot_id.
    MapLife(const Clock& clock, std::string boot_id);

    void restore(const model::state::MapClock& saved);
    model::state::MapClock state() const;

    void signed_anew();  // a head which the controller has just signed
    void confirmed();    // the controller said that the map is the current one

    std::chrono::milliseconds lived() const;
    std::chrono::milliseconds since_confirmed() const;
    std::chrono::milliseconds left(const model::wire::MapHead& head) const;  // below 0: over

private:
    const Clock& clock_;
    std::string boot_id_;
    BootTime signed_at_;  // on the boot clock of this boot; may be negative
    BootTime confirmed_at_;
};

std::string read_boot_id();

}  // namespace cvlan::agent
