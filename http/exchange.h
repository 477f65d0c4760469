// SPDX-License-Identifier: Apache-2.0
#pragma once

// What a Reply and whoever waits for it share. The waiting side empties `answer` when nobody waits
// any more; the Reply empties it when it answers.

#include <functional>
#include <string>

#include "http/message.h"
#include "http/upgrade.h"

namespace cvlan::http {

struct Exchange {
    std::function<void(Response)> answer;
    std::string request_id{};
    std::function<void()> gone{};
    std::function<void(int status)> answered{};
    std::function<void()> drain{};
    std::function<void(Response, Leave)> upgrade{};  // empty: not from here
};

}  // namespace cvlan::http
