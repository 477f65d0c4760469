// SPDX-License-Identifier: Apache-2.0
#include "daemons/agent/map_life.h"

#include <algorithm>
#include <cstdlib>

#include "base/file.h"

namespace cvlan::agent {

using std::chrono::milliseconds;

MapLife::MapLife(const Clock& clock, std::string boot_id)
    : clock_(clock),
      boot_id_(std::move(boot_id)),
      signed_at_(clock.since_boot()),
      confirmed_at_(clock.since_boot()) {}

void MapLife::restore(const model::state::MapClock& saved) {
    const BootTime now = clock_.since_boot();
    milliseconds passed = now - milliseconds(saved.boot_ms);
    if (saved.boot_id != boot_id_) passed = clock_.now() - saved.wall;
    passed = std::max(passed, milliseconds(0));
    signed_at_ = now - passed - milliseconds(saved.lived_ms);
    confirmed_at_ = now - passed - milliseconds(saved.unconfirmed_ms.value_or(0));
}

model::state::MapClock MapLife::state() const {
    model::state::MapClock saved;
    saved.boot_id = boot_id_;
    saved.boot_ms = clock_.since_boot().count();
    saved.wall = clock_.now();
    saved.lived_ms = lived().count();
    saved.unconfirmed_ms = since_confirmed().count();
    return saved;
}

void MapLife::signed_anew() { signed_at_ = clock_.since_boot(); }

void MapLife::confirmed() { confirmed_at_ = clock_.since_boot(); }

milliseconds MapLife::lived() const { return clock_.since_boot() - signed_at_; }

milliseconds MapLife::since_confirmed() const { return clock_.since_boot() - confirmed_at_; }

milliseconds MapLife::left(const model::wire::MapHead& head) const {
    return (head.expires_at - head.issued_at) - lived();
}

std::string read_boot_id() {
    // Our unit hides /proc/sys (ProcSubset=pid) and passes systemd's own %b.
    if (const char* given = std::getenv("CVLAN_BOOT_ID"); given && *given) return given;
    auto text = read_file("/proc/sys/kernel/random/boot_id", 128);
    return text ? text->substr(0, text->find('\n')) : std::string();
}

}  // namespace cvlan::agent
