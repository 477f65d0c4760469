// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>

#include "base/clock.h"

namespace cvlan::reach {

// The clock of a gateway, which counts seconds since its mappings began to be kept and begins anew
// where it lost them (RFC 6887 section 8.5; RFC 6886 section 3.6 has a wider tolerance).
class GatewayEpoch {
public:
    // Takes the next reading; false where it says that the mappings are lost.
    bool is_continued(uint32_t gateway_s, BootTime now);
    void forget() { last_.reset(); }

private:
    struct Reading {
        int64_t gateway_s = 0;
        int64_t own_s = 0;
    };
    std::optional<Reading> last_;
};

}  // namespace cvlan::reach
