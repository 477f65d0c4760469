// SPDX-License-Identifier: Apache-2.0
#include "reach/gateway_epoch.h"

#include <utility>

namespace cvlan::reach {

bool GatewayEpoch::is_continued(uint32_t gateway_s, BootTime now) {
    const Reading reading{gateway_s, std::chrono::duration_cast<std::chrono::seconds>(now).count()};
    const auto before = std::exchange(last_, reading);
    if (!before) return true;
    const int64_t gateway = reading.gateway_s - before->gateway_s;
    const int64_t own = reading.own_s - before->own_s;
    if (gateway < -1) return false;  // one second may be two answers that overtook each other
    // Two seconds for packets under way, a sixteenth for a clock that is off.
    return own + 2 >= gateway - gateway / 16 && gateway + 2 >= own - own / 16;
}

}  // namespace cvlan::reach
