// SPDX-License-Identifier: Apache-2.0
#include "daemons/controller/bootstrap.h"

#include "api/logins.h"
#include "base/file.h"
#include "base/log.h"

namespace cvlan::controller {

Result<void> offer_bootstrap(const api::Context& context, const std::string& path) {
    constexpr std::chrono::hours kLife{24 * 7};
    const api::MadeLink link = api::make_link(context, kLife);
    auto is_first = context.store.accounts().make_bootstrap(link.link);
    if (!is_first) return failed(is_first.error());
    if (!*is_first) return remove_file(path);
    if (auto written = write_durable(path, link.shown.link + "\n", 0600); !written) return written;
    log::info("controller.bootstrap_offered",
              {{"path", path}, {"until", rfc3339(link.link.expires_at)}});
    return {};
}

}  // namespace cvlan::controller
