#!/usr/bin/env python3
"""A client of Bobbin's spool written from docs/spool-format.md alone.

It shares no code with the program; stranger_test.go runs the two against each
other, so that the text is known to suffice.  Numbers in comments are sections.

    stranger.py SPOOL USER [--folder NAME] list
    stranger.py SPOOL USER [--folder NAME] deliver <message
    stranger.py SPOOL USER [--folder NAME] assign
    stranger.py SPOOL USER [--folder NAME] flag UIDS +S-F
    stranger.py SPOOL USER [--folder NAME] keyword UIDS +word
    stranger.py SPOOL USER [--folder NAME] expunge UIDS
    stranger.py SPOOL USER [--folder NAME] check
    stranger.py SPOOL USER folders
    stranger.py SPOOL USER [--folder NAME] work SEED COUNT
"""
import base64, errno, hashlib, json, os, random, re, stat, sys, time, tomllib, unicodedata

LEVEL = 2
LETTERS = "DFPRST"
WRITER = "stranger"


class Damage(Exception):
    pass


class Gone(Exception):
    """The folder or user does not exist."""


class Again(Exception):
    """This view is of no use; begin again from the newest base."""


class Temporary(Exception):
    pass


# ---- bytes and words -------------------------------------------------------

def _crc_table():
    out = []
    for i in range(256):
        for _ in range(8):
            i = (i >> 1) ^ 0x82F63B78 if i & 1 else i >> 1
        out.append(i)
    return out


_CRC = _crc_table()


def crc32c(data):
    c = 0xFFFFFFFF
    for b in data:
        c = _CRC[(c ^ b) & 0xFF] ^ (c >> 8)
    return "%08x" % (c ^ 0xFFFFFFFF)


def b32(raw):
    return base64.b32encode(raw).decode().lower().rstrip("=")


def token():
    return b32(os.urandom(16))


def id_of(data):
    return b32(hashlib.sha256(data).digest()[:16])


def esc(s):
    raw = os.fsencode(s)
    return "".join(chr(b) if 0x21 <= b <= 0x7E and b not in b":%|" else "%%%02X" % b for b in raw)


def unesc(s):
    if "%" not in s:
        return s
    raw = re.sub(rb"%([0-9A-Fa-f]{2})", lambda m: bytes([int(m[1], 16)]), s.encode())
    return os.fsdecode(raw)


def ranges(text):
    out = []
    last = -1
    for part in text.split(","):
        lo, _, hi = part.partition("-")
        lo, hi = int(lo), int(hi or lo)
        if lo <= last or hi < lo:
            raise Damage("uids " + text)
        out.append((lo, hi))
        last = hi
    return out


def uids_text(uids):
    out = []
    for u in sorted(set(uids)):
        if out and out[-1][1] + 1 == u:
            out[-1][1] = u
        else:
            out.append([u, u])
    return ",".join(str(a) if a == b else "%d-%d" % (a, b) for a, b in out)


def flag_bits(s):
    v = 0
    if s != "-":
        for c in s:
            v |= 1 << LETTERS.index(c)
    return v


def flag_text(v):
    return "".join(c for i, c in enumerate(LETTERS) if v >> i & 1)


# ---- the marker (3) --------------------------------------------------------

class Spool:
    def __init__(self, path):
        self.path = path
        try:
            with open(os.path.join(path, "bobbin.toml"), "rb") as f:
                m = tomllib.load(f)
        except FileNotFoundError:
            raise Temporary("no marker: the share is not mounted")
        if set(m) - {"level", "share", "slots", "record_max", "separator"}:
            raise Damage("unknown keys in the marker")
        self.level = m["level"]
        if self.level < LEVEL:
            for name in os.listdir(path):
                n = re.fullmatch(r"bobbin\.level\.([1-9][0-9]*)", name)
                if n:
                    self.level = max(self.level, int(n[1]))
        if self.level > LEVEL:
            raise Damage("level %d is needed" % self.level)
        self.slots, self.record_max, self.sep = m["slots"], m["record_max"], m["separator"]


# ---- put-if-absent (4) -----------------------------------------------------

def forced_stat(path):
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        return os.fstat(fd)
    finally:
        os.close(fd)


def sync_dir(path):
    try:
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    except FileNotFoundError:
        return
    try:
        os.fsync(fd)
    except OSError:
        pass
    finally:
        os.close(fd)


class Place:
    """Directories and files with the group and mode of a mailbox (8)."""

    def __init__(self, spool, box):
        self.spool, self.box = spool, box
        st = os.stat(box)
        self.mode, self.gid = stat.S_IMODE(st.st_mode) & 0o777, st.st_gid

    def mkdir(self, path):
        try:
            os.mkdir(path, 0o700)
        except FileExistsError:
            return
        if os.stat(path).st_gid != self.gid:
            os.chown(path, -1, self.gid)
        os.chmod(path, self.mode)

    def write(self, path, data):
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        try:
            if os.fstat(fd).st_gid != self.gid:
                os.fchown(fd, -1, self.gid)
            os.fchmod(fd, self.mode & 0o666)
            view = memoryview(data)
            while view:
                view = view[os.write(fd, view):]
            os.fsync(fd)
            if os.fstat(fd).st_size != len(data):
                raise Temporary("short file " + path)
        finally:
            os.close(fd)

    def put_whole(self, directory, name, data):
        """A new file that appears with its whole content."""
        self.mkdir(directory)
        tmp = os.path.join(directory, ".t." + token())
        self.write(tmp, data)
        os.rename(tmp, os.path.join(directory, name))
        sync_dir(directory)

    def get_slot(self, path):
        """The content of a slot, or None."""
        how = self.spool.slots
        try:
            if how == "symlink":
                return os.fsencode(os.readlink(path))
            if how == "directory":
                path = os.path.join(path, "r")
            fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
            with open(fd, "rb") as f:
                return f.read()
        except FileNotFoundError:
            return None

    def put_slot(self, directory, name, data):
        """None if it is ours, else what stands there."""
        path = os.path.join(directory, name)
        how = self.spool.slots
        for attempt in range(5):
            try:
                if how == "symlink":
                    os.symlink(data, os.fsencode(path))
                elif how == "link":
                    tmp = os.path.join(directory, ".t." + token())
                    self.write(tmp, data)
                    try:
                        os.link(tmp, path)
                    finally:
                        os.unlink(tmp)
                else:
                    tmp = os.path.join(directory, ".t." + token())
                    self.mkdir(tmp)
                    self.write(os.path.join(tmp, "r"), data)
                    sync_dir(tmp)
                    there = self.get_slot(path)
                    if there is None:
                        os.rename(tmp, path)
                    else:
                        self.drop_dir(tmp)
                        return None if there == data else there
                sync_dir(directory)
                return None
            except OSError as e:
                if e.errno in (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS):
                    raise
                forced_stat(directory)
                there = self.get_slot(path)
                if how == "directory" and e.errno in (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR):
                    self.drop_dir(tmp)
                if there is not None:
                    return None if there == data else there
        raise Temporary("the outcome is unknown: " + path)

    def drop_dir(self, tmp):
        new = os.path.join(os.path.dirname(tmp), ".t." + token())
        os.rename(tmp, new)
        os.unlink(os.path.join(new, "r"))
        os.rmdir(new)


# ---- records (5.1) ---------------------------------------------------------

class Record:
    def __init__(self, text):
        body, eq, sum_ = text.rpartition(b" =")
        if not eq or crc32c(body) != sum_.decode():
            raise Damage("sum of a record")
        words = body.decode("ascii").split(" ")
        if len(words) < 6 or words[0] != "b1":
            raise Damage("not a record")
        self.text = text
        self.seq, self.token, self.writer, self.prev = int(words[1]), words[2], words[3], words[4]
        self.ops = [w.split(":") for w in words[5:]]
        self.hash = id_of(text)


def make_record(seq, tok, prev, ops):
    body = " ".join(["b1", str(seq), tok, WRITER, prev] + ops).encode()
    return body + b" =" + crc32c(body).encode()


# ---- the state of a mailbox (5.2, 5.7) -------------------------------------

class Message:
    __slots__ = ("uid", "flags", "past", "date", "size", "modseq", "keywords", "name")

    def __init__(self, uid, flags, past, date, size, modseq, keywords, name=None):
        self.uid, self.flags, self.past, self.date, self.size = uid, flags, past, date, size
        self.modseq, self.keywords, self.name = modseq, keywords, name


class Mailbox:
    def __init__(self):
        self.uidvalidity, self.uidnext, self.modseq = 0, 1, 0
        self.live, self.names = {}, {}      # uid → message; name → uid, for the living
        self.tombs, self.dropped = {}, {}   # uid → (name, modseq); name → modseq
        self.expunged, self.ended = [], []
        self.segments = []                  # (modseq, list, structures, file, ranges)
        self.deleted = None

    def known(self, name):
        return name in self.names or name in self.dropped or name in self.tomb_names

    @property
    def tomb_names(self):
        return {n for n, _ in self.tombs.values()}

    def pick(self, text):
        for lo, hi in ranges(text):
            if hi - lo > len(self.live):
                yield from [self.live[u] for u in sorted(self.live) if lo <= u <= hi]
            else:
                yield from [self.live[u] for u in range(lo, hi + 1) if u in self.live]

    def text(self, t):
        lines = t.split("\n")
        if lines.pop() != "":
            raise Damage("text has no end")
        head = lines[0].split(" ")
        if head[0] != "mailbox":
            raise Damage("text of a mailbox")
        self.uidvalidity, self.uidnext, self.modseq = int(head[1]), int(head[2]), int(head[3])
        ms, ts, ds = [], [], []
        at = 1
        while lines[at] != "names":
            w = lines[at].split(" ")
            at += 1
            if w[0] == "m":
                flags = flag_bits(w[2])
                past = 1 << flags if w[3] == "-" else int(w[3], 16)
                ms.append(Message(int(w[1]), flags, past, int(w[4]), int(w[5]), int(w[6]),
                                  {unesc(k) for k in w[7:]}))
            elif w[0] == "f":
                m = self.live[int(w[1])]
                m.flags = flag_bits(w[2])
                m.past = 1 << m.flags if w[3] == "-" else int(w[3], 16)
                m.modseq, m.keywords = int(w[4]), {unesc(k) for k in w[5:]}
            elif w[0] == "x":
                for m in list(self.pick(w[2])):
                    del self.live[m.uid], self.names[m.name]
            elif w[0] == "t":
                ts.append((int(w[1]), int(w[2])))
            elif w[0] == "g":
                for lo, hi in ranges(w[2]):
                    for u in [u for u in self.tombs if lo <= u <= hi]:
                        del self.tombs[u]
            elif w[0] == "d":
                ds.append(int(w[1]))
            elif w[0] == "s":
                self.segments.append((int(w[1]), int(w[2]), int(w[3]), w[4], ranges(w[5])))
            elif w[0] == "deleted@2":
                self.deleted = w[1]
            else:
                raise Damage("line " + w[0])
        names = [unesc(n) for n in lines[at + 1:]]
        if len(ms) != int(head[4]) or len(names) != len(ms) + len(ts) + len(ds):
            raise Damage("number of names")
        for m, n in zip(ms, names):
            m.name = n
            self.live[m.uid] = m
            self.names[n] = m.uid
        names = names[len(ms):]
        for (uid, modseq), n in zip(ts, names):
            self.tombs[uid] = (n, modseq)
        for modseq, n in zip(ds, names[len(ts):]):
            self.dropped[n] = modseq

    def bury(self, m, modseq):
        del self.live[m.uid]
        del self.names[m.name]
        self.tombs[m.uid] = (m.name, modseq)

    def apply(self, rec, ops, generation):
        seq = rec.seq
        for i, op in enumerate(ops):
            word, f = op[0], op[1:]
            if word == "genesis":
                if seq != 1 or i != 0:
                    raise Damage("genesis")
                self.uidvalidity = int(f[0])
            elif word == "assign":
                uid, flags = int(f[0]), flag_bits(f[1])
                name = unesc(f[4])
                if uid < self.uidnext or self.known(name):
                    raise Damage("assign of %d" % uid)
                self.live[uid] = Message(uid, flags, 1 << flags, int(f[2]), int(f[3]), seq, set(), name)
                self.names[name] = uid
                self.uidnext = uid + 1
            elif word == "flags":
                plus, minus = re.fullmatch(r"(?:\+([A-Z]+))?(?:-([A-Z]+))?", f[1]).groups()
                for m in self.pick(f[0]):
                    m.flags = (m.flags | flag_bits(plus or "")) & ~flag_bits(minus or "")
                    m.past, m.modseq = m.past | 1 << m.flags, seq
            elif word == "keyword":
                k = unesc(f[1])
                for m in self.pick(f[0]):
                    m.keywords = m.keywords | {k[1:]} if k[0] == "+" else m.keywords - {k[1:]}
                    m.modseq = seq
            elif word == "expunge":
                for m in list(self.pick(f[0])):
                    self.bury(m, seq)
            elif word == "import":
                for m in self.pick(f[0]):
                    have = flag_bits(f[1])
                    if m.past >> have & 1:
                        continue
                    near = min((v for v in range(64) if m.past >> v & 1),
                               key=lambda v: ((v ^ have).bit_count(), (v ^ m.flags).bit_count(), v))
                    m.flags = m.flags & ~(near ^ have) | have & (near ^ have)
                    m.past, m.modseq = 1 << have | 1 << m.flags, seq
            elif word == "gone":
                n = unesc(f[0])
                for u in [u for u, t in self.tombs.items() if t[0] == n]:
                    del self.tombs[u]
            elif word == "drop":
                n = unesc(f[0])
                if n not in self.names and n not in self.tomb_names:
                    self.dropped[n] = seq
            elif word == "deleted@2":
                self.deleted = f[0]
            elif word == "seg@2?":
                n = int(f[3].split(".")[0])
                if generation < n <= seq:
                    self.segments.append((seq, int(f[1]), int(f[2]), f[3], ranges(f[0])))
            else:
                level = re.fullmatch(r"[a-z]+@([0-9]+)\?", word)
                if not level:
                    raise Damage("operation %s is not known" % word)
                raise Damage("read only: " + word)
        self.modseq = seq


class UserState:
    """Of 5.4 only what a genesis needs."""

    def __init__(self):
        self.uidvalidity, self.deleted = 0, None

    def text(self, t):
        for line in t.splitlines():
            self.op(line.split(":"))

    def op(self, op):
        if op[0] == "uidvalidity":
            self.uidvalidity = max(self.uidvalidity, int(op[1]))

    def apply(self, rec, ops, generation):
        for op in ops:
            self.op(op)


# ---- the log (5) -----------------------------------------------------------

class Log:
    def __init__(self, place, path, state):
        self.place, self.path, self.new_state = place, path, state
        self.begin()

    def file(self, *parts):
        return os.path.join(self.path, *parts)

    def begin(self):
        for attempt in range(20):
            try:
                return self.begin_once()
            except (Again, FileNotFoundError):
                time.sleep(0.01 * attempt)
        raise Temporary("cannot begin: " + self.path)

    def begin_once(self):
        self.state = self.new_state()
        self.tokens, self.table_since = {}, 1
        best = (0, "")
        try:
            for name in os.listdir(self.path):
                m = re.fullmatch(r"g\.([1-9][0-9]*)\.([a-z2-7]{26})", name)
                if m:
                    best = max(best, (int(m[1]), m[2]))
        except FileNotFoundError:
            pass
        self.enter(*best)
        if self.gen:
            data = self.read_base()
            self.parse_base(data)
        self.seq = self.gen
        self.read_on()

    def enter(self, gen, id_):
        self.gen, self.id = gen, id_
        self.dir = self.file("g.%d.%s" % (gen, id_) if gen else "g.0")
        self.records = []
        self.prev = id_ or "-"
        self.rotation = None

    def read_base(self):
        with open(self.file("s", "%d.%s" % (self.gen, self.id)), "rb") as f:
            data = f.read()
        if id_of(data) != self.id:
            raise Damage("base %d" % self.gen)
        self.base_size = len(data)
        return data

    def parse_base(self, data):
        at = 0

        def line():
            nonlocal at
            end = data.index(b"\n", at)
            out = data[at:end].decode()
            at = end + 1
            return out.split(" ")

        w = line()
        if w[:2] != ["b1", "base"] or int(w[2]) != self.gen:
            raise Damage("base")
        w = line()
        if w[0] != "tokens":
            raise Damage("tokens")
        self.table_since, self.table_next = int(w[1]), int(w[2])
        for t in w[3:]:
            n, _, tok = t.partition(":")
            self.tokens[int(n)] = tok
        self.parts, to = [], 0
        while True:
            w = line()
            if w[0] == "text":
                if int(w[1]) != to:
                    raise Damage("text from")
                break
            if w[0] != "part" or int(w[1]) != to:
                raise Damage("part")
            to = int(w[2])
            self.parts.append(w)
            with open(self.file("s", w[4]), "rb") as f:
                part = f.read()
            if len(part) != int(w[3]) or id_of(part) != w[4].split(".")[1]:
                raise Damage("part " + w[4])
            head, _, text = part.partition(b"\n")
            if head.decode().split(" ")[:4] != ["b1", "part", w[1], w[2]]:
                raise Damage("part " + w[4])
            self.state.text(text.decode())
        if data[at:]:
            self.state.text(data[at:].decode())

    def witness(self, seq, want):
        """Does slot seq of this generation, or its base, stand?"""
        try:
            forced_stat(self.dir)
        except FileNotFoundError:
            return seq == self.gen and self.base_stands()
        if seq == 0:
            return True
        if seq == self.gen:
            return self.base_stands()
        slot = self.place.get_slot(os.path.join(self.dir, str(seq)))
        return slot is not None and slot.split(b" | ")[0] == want

    def base_stands(self):
        if not self.gen:
            return True
        if self.rotation is not None:
            old, text = self.rotation
            slot = self.place.get_slot(os.path.join(old, str(self.gen)))
            if slot is None or slot.split(b" | ")[0] != text:
                return False
        try:
            return os.stat(self.file("s", "%d.%s" % (self.gen, self.id))).st_size == self.base_size
        except FileNotFoundError:
            return False

    def operations(self, rec):
        if rec.ops[0][0] != "payload":
            return rec.ops
        with open(self.file("p", "%d.%s" % (rec.seq, rec.token)), "rb") as f:
            data = f.read()
        if len(data) != int(rec.ops[0][1]) or hashlib.sha256(data).hexdigest() != rec.ops[0][2]:
            raise Damage("payload of %d" % rec.seq)
        return [w.split(":") for w in data.decode().split(" ")]

    def read_on(self):
        """To the end; what was read counts only if the witness stands afterwards (5.6)."""
        while True:
            try:
                forced_stat(self.dir)
            except FileNotFoundError:
                if self.seq != self.gen:
                    raise Again()
            start, want = self.seq, self.records[-1].text if self.records else None
            found, prev, rotated = [], self.prev, False
            while True:
                n = self.seq + len(found) + 1
                slot = self.place.get_slot(os.path.join(self.dir, str(n)))
                if slot is None:
                    break
                rec = Record(slot.split(b" | ")[0])
                if rec.seq != n or rec.prev != prev:
                    raise Damage("chain at %s/%d" % (self.dir, n))
                if rec.ops[0][0] == "void@2":
                    raise Again()
                found.append((rec, self.operations(rec)))
                prev = rec.hash
                if rec.ops[0][0] == "rotate":
                    rotated = True
                    break
            if found:
                sync_dir(self.dir)  # its writer may not have come so far
                if not self.witness(start, want):
                    raise Again()
            for rec, ops in found:
                self.take(rec, ops)
            if not rotated:
                return

    def take(self, rec, ops):
        self.tokens[rec.seq] = rec.token
        self.records.append(rec)
        self.seq, self.prev = rec.seq, rec.hash
        if ops[0][0] == "rotate":
            old = self.dir
            self.table_since = min(self.table_since, rec.seq)
            self.enter(rec.seq, ops[0][1])
            self.base_size = int(ops[0][2])
            self.rotation = (old, rec.text)
        else:
            self.state.apply(rec, ops, self.gen)

    def commit(self, build):
        """build(state) → operations, or none.  5.5."""
        for attempt in range(1000):
            try:
                self.read_on()
            except Again:
                self.begin()
            ops = build(self.state)
            if not ops:
                return 0
            tok, seq = token(), self.seq + 1
            text = make_record(seq, tok, self.prev, ops)
            payload = None
            if len(text) > self.place.spool.record_max:
                data = " ".join(ops).encode()
                payload = "%d.%s" % (seq, tok)
                self.place.put_whole(self.file("p"), payload, data)
                text = make_record(seq, tok, self.prev, ["payload:%d:%s" % (len(data), hashlib.sha256(data).hexdigest())])
            slot, limit = text, min(self.place.spool.record_max, 4000)
            for r in reversed(self.records):
                if len(slot) + 3 + len(r.text) > limit:
                    break
                slot += b" | " + r.text
            if self.seq == self.gen:
                if self.gen and not self.base_stands():
                    self.begin()
                    continue
                self.place.mkdir(self.path)
                self.place.mkdir(self.dir)
            want = self.records[-1].text if self.records else None
            other = self.place.put_slot(self.dir, str(seq), slot)
            if other is not None:
                if payload:
                    os.unlink(self.file("p", payload))
                continue
            if self.witness(self.seq, want):
                self.take(Record(text), [o.split(":") for o in ops])
                return seq
            self.begin()
            if self.tokens.get(seq) == tok:
                return seq
            if self.table_since > seq:
                raise Temporary("the outcome is unknown")
        raise Temporary("always somebody else")


# ---- folders (7.1) ---------------------------------------------------------

def encode_part(part, sep):
    out, run = [], ""

    def flush():
        nonlocal run
        if run:
            out.append("&" + base64.b64encode(run.encode("utf-16-be")).decode().rstrip("=").replace("/", ",") + "-")
            run = ""

    for c in unicodedata.normalize("NFC", part):
        if not " " <= c <= "~" or c == "." or sep == ";" and c in ':*?<>|"\\':
            run += c
        else:
            flush()
            out.append("&-" if c == "&" else c)
    flush()
    return "".join(out)


def decode_part(part):
    def one(m):
        if not m[1]:
            return "&"
        s = m[1].replace(",", "/")
        return base64.b64decode(s + "=" * (-len(s) % 4)).decode("utf-16-be")
    return re.sub(r"&([A-Za-z0-9+,]*)-", one, part)


def folder_dir(name, sep):
    if name.upper() == "INBOX":
        return "."
    return "".join("." + encode_part(p, sep) for p in name.split("/"))


# ---- a mailbox with its files (6) ------------------------------------------

class Box:
    def __init__(self, spool, user, folder="INBOX"):
        self.spool, self.user = spool, user
        if user == "public":
            self.root = os.path.join(spool.path, "public")
        else:
            self.root = os.path.join(spool.path, "users", user)
        self.dir = os.path.normpath(os.path.join(self.root, folder_dir(folder, spool.sep)))
        self.inbox = self.dir == os.path.normpath(self.root)
        if not os.path.isdir(self.dir):
            raise Gone(folder)
        self.place = Place(spool, self.dir)
        for d in ("tmp", "new", "cur"):
            self.place.mkdir(os.path.join(self.dir, d))
        self._log = None

    @property
    def log(self):
        if self._log is None:
            self._log = Log(self.place, self.path("bobbin"), Mailbox)
        if self._log.state.deleted:
            raise Gone("deleted")
        return self._log

    def path(self, *parts):
        return os.path.join(self.dir, *parts)

    def split(self, file_name):
        """(base name, letters or None)"""
        at = max(file_name.rfind(s + "2,") for s in ":;!")
        if at < 0:
            return file_name, None
        return file_name[:at], file_name[at + 3:]

    def files(self):
        """base name → [(directory, file name, letters)]"""
        out = {}
        for d in ("new", "cur", os.path.join("bobbin", "hold")):
            try:
                names = os.listdir(self.path(d))
            except FileNotFoundError:
                continue
            for name in names:
                if name.startswith("."):
                    continue
                base, letters = (name, None) if d.endswith("hold") else self.split(name)
                out.setdefault(base, []).append((d, name, letters))
        return out

    def genesis(self):
        root = Place(self.spool, self.root)
        now = int(time.time())
        if self.spool.level < 2:
            return "genesis:%d" % now
        log = Log(root, os.path.join(self.root, "bobbin-user"), UserState)
        n = 0

        def build(state):
            nonlocal n
            n = max(state.uidvalidity + 1, int(time.time()))
            return ["uidvalidity:%d" % n]
        log.commit(build)
        return "genesis:%d" % n

    def commit(self, build):
        first = None

        def whole(state):
            nonlocal first
            if state.deleted:
                raise Gone("deleted")
            ops = build(state)
            if ops and self._log.seq == 0:
                first = first or self.genesis()
                return [first] + ops
            return ops
        return self.log.commit(whole)

    # Delivery (6.2)
    def deliver(self, data, sender=""):
        lines = data.count(b"\n")
        crlf = data.count(b"\r\n")
        if lines and lines == crlf:
            data = data.replace(b"\r\n", b"\n")
        m = re.match(rb"From (\S+) +[A-Z][a-z]{2} [A-Z][a-z]{2} [ 0-9][0-9] [0-9:]{8} [0-9]{4}\n", data)
        if m:
            sender, data = m[1].decode(), data[m.end():]
        data = ("Return-Path: <%s>\nDelivered-To: %s\n" % (sender, self.user)).encode() + data
        lines, crlf = data.count(b"\n"), data.count(b"\r\n")
        base = "%d.%s.%s" % (time.time(), token(), WRITER)
        tmp = self.path("tmp", base)
        try:
            self.place.write(tmp, data)
        except BaseException:
            try:
                os.unlink(tmp)
            except FileNotFoundError:
                pass
            raise
        name = base + ",S=%d,W=%d" % (len(data), len(data) + lines - crlf)
        if crlf and crlf != lines:
            name += ",M"
        os.rename(tmp, self.path("new", name))
        sync_dir(self.path("new"))
        if not self.inbox and os.path.lexists(self.path("bobbin", "deleted")):
            try:
                os.rename(self.path("new", name), self.path("tmp", token()))
            except FileNotFoundError:
                return name
            raise Gone("deleted")
        return name

    # New mail (6.5).  The listing is made after the state was read, so that no
    # tombstone can have ended between the two.
    def assign(self):
        def build(state):
            forced_stat(self.path("new"))
            forced_stat(self.path("cur"))
            tombs, found = state.tomb_names, []
            for base, places in self.files().items():
                places = [p for p in places if not p[0].endswith("hold")]
                if not places or base in state.names or base in tombs or base in state.dropped:
                    continue
                d, name, letters = places[0]
                try:
                    st = os.lstat(self.path(d, name))
                except FileNotFoundError:
                    continue
                if not stat.S_ISREG(st.st_mode):
                    continue
                lead = re.match(r"([0-9]+)\.", base)
                date = int(lead[1]) if lead else int(st.st_mtime)
                found.append((date, st.st_mtime_ns, base, letters, st.st_size))
            ops, uid = [], state.uidnext
            for date, _, base, letters, size in sorted(found, key=lambda f: f[:3]):
                flags = "".join(c for c in LETTERS if c in (letters or "")) or "-"
                ops.append("assign:%d:%s:%d:%d:%s" % (uid, flags, date, size, esc(base)))
                uid += 1
            return ops
        self.commit(build)

    def flag(self, uids, change):
        plus, minus = re.fullmatch(r"(?:\+([DFPRST]+))?(?:-([DFPRST]+))?", change).groups()
        plus, minus = flag_bits(plus or ""), flag_bits(minus or "")

        def build(state):
            do = [m.uid for m in state.pick(uids) if (m.flags | plus) & ~minus != m.flags]
            sign = ("+" + flag_text(plus) if plus else "") + ("-" + flag_text(minus) if minus else "")
            return ["flags:%s:%s" % (uids_text(do), sign)] if do else []
        n = self.commit(build)
        self.project(list(self.log.state.pick(uids)))
        return n

    def keyword(self, uids, change):
        def build(state):
            do = [m.uid for m in state.pick(uids) if (change[0] == "+") != (change[1:] in m.keywords)]
            return ["keyword:%s:%s" % (uids_text(do), change[0] + esc(change[1:]))] if do else []
        return self.commit(build)

    def expunge(self, uids):
        gone = []

        def build(state):
            gone[:] = [(m.uid, m.name) for m in state.pick(uids)]
            return ["expunge:" + uids_text(u for u, _ in gone)] if gone else []
        n = self.commit(build)
        if n:
            self.place.mkdir(self.path("bobbin", "x"))
            for attempt in range(20):
                files = self.files()
                left = [(u, b) for u, b in gone if b in files]
                if not left:
                    break
                for _, base in left:
                    for d, name, _ in files[base]:
                        try:
                            os.rename(self.path(d, name), self.path("bobbin", "x", base))
                        except FileNotFoundError:
                            pass
        return n

    def project(self, messages):
        """Flags into file names (6.6)."""
        for attempt in range(10):
            files, again = self.files(), False
            for m in messages:
                for d, name, letters in files.get(m.name, [])[:1]:
                    other = "".join(c for c in letters or "" if c not in LETTERS)
                    want = m.name + self.spool.sep + "2," + "".join(sorted(set(flag_text(m.flags) + other)))
                    if (d, name) == ("cur", want) or d == "new" and letters is None and not m.flags:
                        continue
                    try:
                        os.rename(self.path(d, name), self.path("cur", want))
                    except FileNotFoundError:
                        again = True
            if not again:
                return

    def summaries(self):
        """uid → columns, from segments (6.9)."""
        out, state = {}, self.log.state
        keys = ("size", "wire", "date", "marks", "sent", "from", "subject", "message-id", "preview")
        for _, list_, structures, name, uids in state.segments:
            try:
                with open(self.path("bobbin", "s", name), "rb") as f:
                    data = f.read()
            except FileNotFoundError:
                continue
            if len(data) != list_ + structures or id_of(data[:list_]) != name.split(".")[1]:
                continue
            head, *rows = data[:list_].decode().split("\n")
            for row in rows[:-1]:
                uid, *cols = row.split("\t")
                m = state.live.get(int(uid))
                if m and int(cols[0]) == m.size and any(lo <= m.uid <= hi for lo, hi in uids):
                    out[m.uid] = dict(zip(keys, map(unesc, cols)))
        return out

    def list(self):
        self.assign()
        state, files = self.log.state, {}
        for attempt in range(20):
            now = self.files()
            for m in state.live.values():
                if m.name in now:
                    files[m.name] = now[m.name][0]
            if all(m.name in files for m in state.live.values()):
                break
        sums, out = self.summaries(), []
        for uid in sorted(state.live):
            m = state.live[uid]
            at = files.get(m.name)
            out.append({"uid": uid, "flags": flag_text(m.flags), "keywords": sorted(m.keywords),
                        "modseq": m.modseq, "size": m.size, "date": m.date, "name": m.name,
                        "file": at and "/".join(at[:2]), "summary": sums.get(uid)})
        return {"uidvalidity": state.uidvalidity, "uidnext": state.uidnext, "modseq": state.modseq, "messages": out}

    def check(self):
        bad = []
        listed = self.list()
        for m in listed["messages"]:
            if not m["file"]:
                bad.append("message %d has no file" % m["uid"])
            elif os.stat(self.path(m["file"])).st_size != m["size"]:
                bad.append("message %d has another size" % m["uid"])
        tombs = self.log.state.tomb_names
        for base in self.files():
            if base in tombs:
                bad.append("expunged, but not in x/: " + base)
        return bad


def folders(spool, user):
    root = os.path.join(spool.path, "users", user)
    out = ["INBOX"]
    for name in os.listdir(root):
        if name.startswith(".") and not name.startswith(".nfs") and os.path.isdir(os.path.join(root, name, "cur")):
            out.append("/".join(decode_part(p) for p in name[1:].split(".")))
    return sorted(out)


def work(box, seed, count):
    """Random work beside others; expunges only its own.  Says what was acknowledged."""
    rng = random.Random(seed)
    delivered, expunged, mine = [], [], {}
    for i in range(count):
        what = rng.random()
        if what < 0.4:
            subject = "stranger %s %d" % (seed, i)
            mine[box.deliver(("Subject: %s\n\nBody\n" % subject).encode())] = subject
            delivered.append(subject)
            continue
        box.assign()
        live = box.log.state.live
        own = sorted(u for u in live if live[u].name in mine)
        if not own:
            continue
        if what < 0.65:
            box.flag(str(rng.choice(sorted(live))), rng.choice(["+S", "-S", "+F", "-F", "+RS", "+T-S"]))
        elif what < 0.9:
            box.keyword(str(rng.choice(sorted(live))), rng.choice(["+", "-"]) + rng.choice(["work", "later", "$Junk"]))
        else:
            uid = rng.choice(own)
            subject = mine[live[uid].name]
            if box.expunge(str(uid)):
                expunged.append(subject)
    return {"delivered": delivered, "expunged": expunged}


def main(argv):
    spool, user, argv = Spool(argv[0]), argv[1], argv[2:]
    folder = "INBOX"
    if argv[0] == "--folder":
        folder, argv = argv[1], argv[2:]
    if argv[0] == "folders":
        print(json.dumps(folders(spool, user)))
        return 0
    box = Box(spool, user, folder)
    cmd = argv[0]
    if cmd == "list":
        print(json.dumps(box.list()))
    elif cmd == "deliver":
        print(box.deliver(sys.stdin.buffer.read()))
    elif cmd == "assign":
        box.assign()
    elif cmd == "flag":
        box.assign()
        print(box.flag(argv[1], argv[2]))
    elif cmd == "keyword":
        box.assign()
        print(box.keyword(argv[1], argv[2]))
    elif cmd == "expunge":
        box.assign()
        print(box.expunge(argv[1]))
    elif cmd == "work":
        print(json.dumps(work(box, argv[1], int(argv[2]))))
    elif cmd == "check":
        bad = box.check()
        for b in bad:
            print(b)
        return 1 if bad else 0
    else:
        sys.exit(__doc__)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
