// SPDX-License-Identifier: Apache-2.0
#include "xfrm/statistics.h"

#include <algorithm>
#include <charconv>

#include "base/bytes.h"
#include "base/file.h"

namespace cvlan::xfrm {

namespace {

constexpr size_t kMaxFile = 64 * 1024;

}  // namespace

Result<Statistics> statistics(const netlink::NetnsFd& netns) {
    Statistics found;
    auto done = netns.run([&]() -> Result<void> {
        // /proc/net is of the process's first thread, which need not be in this namespace.
        auto text = read_file("/proc/thread-self/net/xfrm_stat", kMaxFile);
        if (!text) return failed(text.error());
        auto parsed = parse_statistics(*text);
        if (!parsed) return failed(parsed.error());
        found = std::move(*parsed);
        return {};
    });
    if (!done) return failed(done.error().while_doing("xfrm statistics"));
    return found;
}

Result<Statistics> parse_statistics(std::string_view text) {
    Statistics found;
    while (!text.empty()) {
        const std::string_view line = text.substr(0, text.find('\n'));
        text.remove_prefix(std::min(line.size() + 1, text.size()));
        const size_t name_end = line.find_first_of(" \t");
        const size_t number = line.find_first_not_of(" \t", name_end);
        uint64_t value = 0;
        const std::string_view digits =
            number == std::string_view::npos ? std::string_view() : line.substr(number);
        const auto [end, status] =
            std::from_chars(digits.data(), digits.data() + digits.size(), value);
        if (name_end == 0 || digits.empty() || status != std::errc() ||
            end != digits.data() + digits.size())
            return fail(Code::Malformed, "xfrm_stat: '{}'", printable(line));
        found.insert_or_assign(std::string(line.substr(0, name_end)), value);
    }
    return found;
}

}  // namespace cvlan::xfrm
