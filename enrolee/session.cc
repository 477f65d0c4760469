// SPDX-License-Identifier: Apache-2.0
#include "enrolee/session.h"

#include <ctime>

#include "base/bytes.h"
#include "base/version.h"
#include "enrolee/enrolment.h"

namespace cvlan::enrolee {

namespace wire = model::wire;
using std::chrono::milliseconds;

Refused refused_of(const Refusal& refusal) {
    if (refusal.status != 401 && refusal.status != 403 && refusal.status != 404 &&
        refusal.status != 410)
        return Refused::No;
    if (refusal.code == "NODE_EXPIRED") return Refused::Expired;
    if (refusal.code == "NODE_REVOKED") return Refused::Revoked;
    if (refusal.code == "NODE_DELETED" || refusal.code == "NODE_UNKNOWN") return Refused::Deleted;
    // CERTIFICATE_EXPIRED too: the node is what it was, and only its certificate ran out.
    return Refused::No;
}

Result<WallTime> parse_http_date(const std::string& text) {
    std::tm parts{};
    const char* end = strptime(text.c_str(), "%a, %d %b %Y %H:%M:%S GMT", &parts);
    if (!end || *end) return fail(Code::Invalid, "'{}' is no date of HTTP", printable(text));
    return from_unix_ms(int64_t{timegm(&parts)} * 1000);
}

Session::Setup Session::setup_of(const Identity& identity) {
    // Of the node and not of the moment: nodes differ, and that is all a jitter needs.
    const Bytes hash = sha256(as_bytes(identity.node_id()));
    return {{identity.kept.session, session_credentials(identity)},
            static_cast<uint32_t>(hash[0] << 24 | hash[1] << 16 | hash[2] << 8 | hash[3])};
}

Session::Session(EventLoop& loop, Setup setup, SessionEvents events)
    : loop_(loop),
      setup_(std::move(setup)),
      events_(std::move(events)),
      held_(held_connection()),
      small_(loop, setup_.controller.clone()),
      backoff_(setup_.seed),
      replaced_(setup_.seed) {}

std::unique_ptr<Controller> Session::held_connection() {
    return std::make_unique<Controller>(loop_, setup_.controller.clone());
}

void Session::start() { poll_after(milliseconds(0)); }

void Session::ask_now() {
    // The query under way is dropped with its connection.
    held_ = held_connection();
    is_reached_ = false;
    poll_after(milliseconds(0));
}

void Session::poll_after(milliseconds delay) {
    next_ = loop_.after(delay, [this] { poll(); });
}

void Session::poll() {
    const std::string since = events_.since();
    // The first answer after a silence is wanted at once: it tells that the controller is there.
    const auto wait = is_reached_ && !since.empty() ? kHeldPoll : std::chrono::seconds(0);
    is_held_ = wait.count() > 0;
    Controller::Call call;
    call.target =
        fmt::format("/api/v1/node/map?wait={}&protocolVersion={}", wait.count(), kProtocolVersion);
    if (!since.empty()) call.target += "&since=" + since;
    call.timeout = wait + std::chrono::seconds(20);
    held_->call(std::move(call),
                [this](const Answer<http::Response>& answer) { answered(answer); });
}

void Session::answered(const Answer<http::Response>& answer) {
    if (!answer) return failed_with(answer.error());
    if (const std::string* date = answer->header("Date"))
        if (auto time = parse_http_date(*date)) events_.on_time(*time);
    bool is_good = answer->status == 304;
    if (answer->status == 200) is_good = took_map(answer->body);
    is_reached_ = true;
    if (!is_good) return poll_after(backoff_.next());
    backoff_.reset();
    if (is_held_) replaced_.reset();
    events_.on_confirmed();
    poll_after(milliseconds(0));
}

bool Session::took_map(const std::string& body) {
    auto map = model::decode<wire::NodeMap>(body, model::kDocument);
    if (map) return events_.on_map(*map);
    events_.on_failure(Refusal{map.error().while_doing("map")});
    return false;
}

void Session::failed_with(const Refusal& refusal) {
    is_reached_ = false;
    const bool is_final = refused_of(refusal) != Refused::No;
    // Another machine has our identity: each of us that asks ends the other's query. The short
    // query before the next held one is always answered, and so must not reset this pause.
    const bool is_replaced = refusal.status == 409 && refusal.code == "SESSION_REPLACED";
    // Scheduled first: the event may end this session.
    poll_after(is_final      ? milliseconds(kRefusedPause)
               : is_replaced ? replaced_.next()
                             : backoff_.next());
    events_.on_failure(refusal);
}

}  // namespace cvlan::enrolee
