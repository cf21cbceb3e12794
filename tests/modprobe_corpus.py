"""The command lines and configurations that tests/test_modprobe_corpus.py tries: data only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from textwrap import dedent

from tests.fakeroot import loaded
from tests.koforge import Ko

CONF = "etc/modprobe.d/a.conf"


@dataclass(frozen=True)
class Setting:
    """Command lines, one a line, and the files that are laid down for them.

    `NAME=value` words before a `|` are the environment; `{root}` stands for the root directory (nothing for kmod, which
    has it as its root), `{modules}` for the module directory below it.
    """

    lines: str
    files: Mapping[str, str | bytes] = field(default_factory=dict)


def text(block: str) -> str:
    return dedent(block).removeprefix("\n")


CORPUS: dict[str, Setting] = {
    "no configuration": Setting(
        """
            -D btrfs
            -D xfs
            -D libcrc32c
            -D snd-hda-intel
            -D snd_hda_intel
            -D snd_hda-codec
            -D cdc_ether
            -D wishful
            -D zswap
            -D ext4
            -D no_modinfo
            -D fs-ext4
            -D fs_ext3
            -D zram-like
            -D fs-btrfs
            -D devname:loop-control
            -D block-major-7-0
            -D block-major-7-
            -D block-major-7
            -D crc32c
            -D crypto-crc32c
            -D cpu:type:x86,ven0006fam0010mod002C:feature:,0000,0094,0095
            -D usb:v0BDAp8153d3000dc00dsc00dp00ic02isc06ip00in00
            -D usb:v0BDAp8352d3000dc00dsc00dp00ic02isc06ip00in00
            -D usb:v0BDAp8552d3000dc00dsc00dp00ic00isc00ip00in00
            -D symbol:libcrc32c_symbol
            -D symbol:nope
            -D symbol:xor*
            -D ring_a
            -D ring_b
            -D no_such
            -D lo*p
            -D loop?
            -D [l]oop
            -D bad[
            -D bad]
            -D 'a[b]c[d]e'
            -D 'a[b[c]'
            -D ''
            -D ' '
            -D loop.ko
            -D kernel/drivers/block/loop.ko
            -D LOOP
            -D gone
            -D loop max_loop=8
            -D loop max_loop=8 debug
            -D loop 'x=a b' 'y="c d"' "z='e f'"
            -D loop 'x=' '=y' '='
            -D loop '' a=1
            -D loop a=1 '' b=2
            -D loop 'a b'
            -D loop 'a="b c" d=e'
            -D btrfs a=1
            -D zswap enabled=1
            -D crc32c a=1
            -a -D btrfs xfs
            -a -D loop k=v
            -a -D no_such loop
            -a -D loop no_such
            -a -D no_such bad[ loop
            -a -q -D no_such loop
            -aD loop loop
            -q -D no_such
            -q -D loop
            -qq -D no_such
            -v -D loop
            -D -n loop
            -i -D btrfs
            -i -D xfs
            -i -D libcrc32c
            -i -D snd-hda-codec
            -b -D btrfs
            -n -v btrfs
            -n btrfs
            -n loop max_loop=3
            -n no_such
            -n -q no_such
            -n zswap
            -n --first-time zswap
            -n --first-time loop
            --first-time -D zswap
            -n bad[
            -n -v fs-ext4
            -n ring_a
            -n wishful
            -n crc32c
            -a -n loop xfs no_such mii
            --show loop
            --dry-run loop
            -R btrfs
            -R fs-btrfs
            -R crc32c
            -R zswap
            -R fs-ext3
            -R no_such
            -R bad[
            -R lo*p
            -R symbol:xor_symbol
            -R usb:v0BDAp8153d3000dc00dsc00dp00ic02isc06ip00in00
            -R loop max_loop=3
            -a -R crc32c no_such loop
            -a -q -R crc32c no_such loop
            -q -R no_such
            --resolve-alias loop
            --resolve loop
            --showconfig
            --showc
            --show-config
            --show-alias loop
            -R -r loop
            -R -n loop
            -R -D loop
            -r -n -v loop
            -r -n no_such
            -r -n -q no_such
            -r -n bad[
            -r -n zswap
            -r -n -q zswap
            -a -r -n zswap loop
            -r -n --first-time loop
            -r -n -q --first-time loop
            -a -r -n --first-time loop mii
            -r -n fs-btrfs
            -r -n crc32c
            -r -D btrfs
            -r -D snd_hda_codec
            -r -D zswap
            -r -D crc32c
            -r -D -i snd_hda_codec
            -r -D mii usbnet
            -rnw 100 loop
            -c
            -c loop
            -c -q
            -C /nothing -c
            -C /nothing -D libcrc32c
            -C /nothing -C /neither -D btrfs
        """,
    ),
    "command lines": Setting(
        """
            --
            -a
            -r
            -q
            -n
            -D
            -R
            -V
            --version
            -V -h
            -D -V
            --bogus
            --bogus=1
            -z
            -Dz loop
            -zD loop
            --a
            --all -D loop
            --dry
            --dry loop
            --ign -D xfs
            --ignore-i -D xfs
            --rem
            --remove-
            --remove-h
            --sho
            --show-
            --show-d
            --show-d loop
            --show-de loop
            --show-depends=x loop
            --fo
            --force
            --force-
            --first -D zswap
            --use -D loop
            --con
            --config
            -C
            -d
            -S
            -w
            --wait
            -w x loop
            -n -w -1 loop
            -w 0x loop
            -w 08 loop
            -w 10ms loop
            -w '' loop
            -D -w 10 loop
            -D -w 0x10 loop
            -D -w 010 loop
            -D -w +5 loop
            -D -w ' 5' loop
            -D --wait=5 loop
            -D --dirname=/nowhere loop
            -D -d /nowhere/ loop
            -D -d. loop
            -D -d ./ loop
            -D -d {root}/ loop
            -D -d .. loop
            -D -d ./.. loop
            -D -d ../home/.. loop
            -S 9.9.9 -D loop
            --set-version=9.9.9 -n loop
            -q -S 9.9.9 -D loop
            -S 9.9.9 -R loop
            -S 9.9.9 -c
            -S 9.9.9 -r -n loop
            -D -- loop
            -- -D loop
            -D loop -- -q no_such
            loop -D
            loop -D max=1 -i
            -D loop -- max=1
            -D -a loop -- mii
            POSIXLY_CORRECT=1 | -D loop -n
            POSIXLY_CORRECT=1 | no_such -D -n
            POSIXLY_CORRECT=1 | -n mii a=1 -D
            MODPROBE_OPTIONS=-D | loop
            MODPROBE_OPTIONS=-q | -D no_such
            MODPROBE_OPTIONS=' -D' | loop
            MODPROBE_OPTIONS='-D ' | loop
            MODPROBE_OPTIONS='-D  -q' | loop
            MODPROBE_OPTIONS='-D  -q -a' | loop
            MODPROBE_OPTIONS='-D loop' | max=1
            MODPROBE_OPTIONS='-D -a' | loop mii
            MODPROBE_OPTIONS='-D "loop"' | max=1
            MODPROBE_OPTIONS='-D lo"o"p' | max=1
            MODPROBE_OPTIONS="-D 'loop'" | max=1
            MODPROBE_OPTIONS='-D loop "a b"' | max=1
            MODPROBE_OPTIONS='-D loop x="a b"' | max=1
            MODPROBE_OPTIONS='--bogus' | -D loop
            MODPROBE_OPTIONS='' | -D loop
            MODPROBE_OPTIONS='-D -C "/nowhere/a b"' | libcrc32c
            MODPROBE_OPTIONS='-n -v' | -D loop
            MODPROBE_OPTIONS="-D loop x'y z" | w
            MODPROBE_OPTIONS="-D loop 'a b" | w
            MODPROBE_OPTIONS='-D loop "' | w
            MODPROBE_OPTIONS='-D loop a""b' | w
            MODPROBE_OPTIONS="-D loop 'a b' c" | w
            MODPROBE_OPTIONS="-D loop 'a'b" | w
            -s -D no_such
            -s -q -D no_such
            -a -s -D no_such loop
            --syslog -R loop
            -s --bogus
            --bogus -s
            -s
            -s -c
            -s -w x loop
            MODPROBE_OPTIONS='-D	loop' | mii
        """,
    ),
    "alias lines": Setting(
        """
            -R first
            -D first
            -n first
            -D a-dash
            -D a_dash
            -R wild-1
            -R wild-x1
            -D wild_x2
            -a -R wild-1 wild-x1
            -R qxd
            -R qd
            -R set5
            -R setx
            -R chain
            -D chain
            -n chain
            chain
            -R lost
            -D lost
            -n lost
            -q -D lost
            -a -D lost loop
            -i -D lost
            lost
            -R usbnet
            -D usbnet
            -D cdc_ether
            -R no_such
            -D built
            -R built
            -n built
            -R many
            -D many
            -n many
            -D rev
            -n rev
            -D many a=1
            -D opt
            -D loop
            -D first x=1
            -R symbol:libcrc32c_symbol
            -D symbol:libcrc32c_symbol
            -D cmd
            -n cmd
            -i -D cmd
            -D ext4
            -R k1v
            -R kav
            -r -n lost
            -r -n first
            -r -n built
            -r -D many
            -r -D usbnet
            -c
        """,
        {
            CONF: text("""
                alias first loop
                alias a-dash snd-hda-intel
                alias wild-* mii
                alias wild-x* xor
                alias q?d xfs
                alias set[0-9] loop
                alias chain first
                alias lost nowhere
                alias usbnet mii
                alias no_such builtin_one
                alias built zswap
                alias many loop
                alias many mii
                alias many nowhere
                alias rev nowhere
                alias rev loop
                alias symbol:* xor
                alias xor xor
                alias opt loop
                options opt by=alias
                options loop by=name
                alias cmd has_install
                install has_install /bin/true
                alias ext4 loop
                alias k[!0-9]v loop
            """),
        },
    ),
    "blacklist lines": Setting(
        """
            -D loop
            -b -D loop
            -n loop
            -b -n loop
            -D block-major-7-0
            -b -D block-major-7-0
            -n block-major-7-0
            block-major-7-0
            -b loop
            -abq loop
            -abq block-major-7-0 snd-hda-intel
            -R block-major-7-0
            -b -R loop
            -D lo
            -D two
            -n two
            -D pci:v00008086d1sv1sd1bc04sc03i00
            -D crc32c
            -n crc32c
            -D libcrc32c
            -D xfs
            -b -D xfs
            -D fs-xfs
            -b -D fs-xfs
            -b -D libcrc32c
            -b -D zswap
            -b -n zswap
            -D zram-like
            -b -n zram-like
            -b -D mii
            -b -D with_install
            -D with_install
            -b -D symbol:loop_symbol
            -D symbol:loop_symbol
            -b --first-time -n loop
            -r -n loop
            -r -b -D loop
            -a -b -D loop xor
            -i -b -D loop
            -c
        """,
        {
            CONF: text("""
                blacklist loop
                blacklist snd-hda-intel
                blacklist crc32c_intel
                blacklist libcrc32c
                blacklist fs-xfs
                blacklist zswap
                blacklist mi*
                alias lo loop
                alias two loop
                alias two mii
                blacklist with_install
                install with_install /bin/true
                blacklist  two_blanks
            """),
        },
    ),
    "install lines": Setting(
        """
            -D loop
            -D loop x=1
            -n loop
            -n loop x=1
            -i -D loop
            -i -n loop x=1
            --ignore-install -D loop
            --ignore-remove -D loop
            -D mii
            -D mii x=1
            -D cdc_ether
            -i -D cdc_ether
            -D snd-pcm
            -D snd-hda-intel
            -i -D snd-hda-intel
            -D ghost
            -D ghost x=1
            -n ghost
            -i -D ghost
            -i -n ghost
            -i ghost
            -R ghost
            -D ghost2
            -D xor
            -D xfs
            -D btrfs
            -i -D btrfs
            -D libcrc32c
            -D zswap
            -n zswap
            -D fs-btrfs
            -D only
            -n only
            only
            -i only
            -D crc32c
            -D crc32c_intel
            -D crypto-crc32c
            -D blake2b-256
            -D dash-ed
            -D dash_ed
            -R dash-ed
            -b -D loop
            -a -D loop ghost xor
            -D block-major-7-1
            -c
        """,
        {
            CONF: text("""
                install loop /bin/true loop
                install mii echo $CMDLINE_OPTS end
                install sn* echo wild
                install ghost echo boo
                install xor   echo three  blanks
                install libcrc32c echo dep
                install zswap echo builtin
                options loop max=1
                options ghost g=1
                options mii a=b
                install x* echo late
                install fs-btrfs echo never
                remove only echo rm
                install gh* echo pattern
                install crc32c_intel echo soft
                install blake2b-256 echo no
                install dash-ed echo dashed
                options dash_ed d=1
            """),
        },
    ),
    "remove lines": Setting(
        """
            -r -n loop
            -r -n -v loop
            -r -D loop
            -r -n -i loop
            -r -D -i loop
            -r -n ghost
            -r -n ghost1
            -r -n --first-time ghost1
            -r -n zswap
            -r -n -i zswap
            -r -n mii
            -r -D mii
            -r -D cdc_ether
            -r -D usbnet
            -r -n both
            -r -D both
            -r -D -i both
            -D both
            -D ghost1
            -n ghost1
            -r -n block-major-7-0
            -r -D xor
            -a -r -D xor loop
            -c
        """,
        {
            CONF: text("""
                remove loop /bin/echo gone
                remove gh* echo ghost
                remove ghost1 echo one
                remove zswap echo builtin
                remove mii echo $CMDLINE_OPTS
                options mii a=1
                softdep loop pre: xor post: raid6_pq
                install both echo in
                remove both echo out
                remove xor echo xor
            """),
        },
    ),
    "softdep lines": Setting(
        """
            -D loop
            -i -D loop
            -n loop a=1
            -D usbnet
            -D mii
            -D cdc_ether
            -D xor
            -D raid6_pq
            -D zstd_compress
            -D snd_seq
            -D snd-seq
            -D zswap
            -i -D zswap
            -D snd_pcm
            -D snd-hda-intel
            -i -D snd-hda-intel
            -D blake2b_generic
            -D wishful
            -D gone
            -D crc32c
            -D xfs
            -i -D xfs
            -i -D btrfs
            -D btrfs
            -a -D loop mii
            -r -D loop
            -r -D mii
            -r -D snd_seq
            -r -D xfs
            -r -D xor
            -r -D blake2b_generic
            -r -n -i loop
            -r -D -i loop
            -c
        """,
        {
            CONF: text("""
                softdep loop pre: mii post: xor
                softdep loop pre: raid6_pq
                softdep cifs x
                softdep usb* pre: xor
                softdep mii post: usbnet
                softdep xor pre: no_such
                softdep raid6_pq pre: raid6_pq
                softdep zstd_compress pre: zswap fs-ext4
                softdep snd_seq pre: block-major-7-0
                softdep zswap pre: xor
                softdep snd_pcm pre: lo*p symbol:xor_symbol
                softdep blake2b_generic post: a pre: b post: c pre: xor
                softdep wishful foo pre: mii
                softdep gone pre:
                softdep snd-hda-intel pre: snd-seq,mii
                softdep needs_gone pre: x:y
                softdep crc32c pre: mii
                softdep xf? post: mii
            """),
        },
    ),
    "softdep with odd names": Setting(
        """
            -D loop
            -n loop
            -q -n loop
            -D mii
            -D xor
            -D xfs
            -D snd-seq
            -D raid6_pq
            -r -n loop
            -r -D loop
            -r -D mii
            -c
        """,
        {
            CONF: (
                "softdep loop pre: bad[ mii\nsoftdep mii post: bad]x xor\nsoftdep xor pre: [ab]\n"
                "softdep xfs pre: '' \"mii\"\nsoftdep bad[ pre: mii\nsoftdep raid6_pq\n"
                "softdep snd-seq pre: snd-pcm\tsnd-seq\n"
            ),
        },
    ),
    "softdep and install together": Setting(
        """
            -D loop
            -i -D loop
            -n loop
            -D xor
            -D usbnet
            -D cdc_ether
            -i -D usbnet
            -i -D cdc_ether
            -D ghost
            -n ghost
            ghost
            -D ghost2
            -n ghost2
            -i -D ghost2
            -r -D usbnet
            -r -D loop
            -r -D ghost
            -r -n ghost2
            -a -D ghost loop
        """,
        {
            CONF: text("""
                softdep loop pre: mii
                install loop echo never
                softdep xor pre: no_such
                softdep usbnet post: raid6_pq
                install usbnet echo no
                install raid6_pq echo softcmd
                install mii echo m
                softdep ghost pre: xor
                install ghost echo boo
                options ghost x=1
                softdep ghost2 pre: ghost
                install ghost2 echo two
                remove usbnet echo rm
            """),
        },
    ),
    "options lines": Setting(
        """
            -D loop
            -D loop a=1
            -D block-major-7-0
            -D block_major_7_0
            -n block-major-7-0 a=1
            -D snd_hda_intel
            -D snd-hda-intel
            -D fs-xfs
            -D xfs
            -D mii
            -D libcrc32c
            -D btrfs
            -D btrfs a=1
            -D xor
            -D zswap
            -D zswap c=1
            -D crc32c
            -D crc32c a=1
            -D al
            -D ghost
            -D symbol:xor_symbol
            -D usbnet
            -D cdc_ether x=1
            -a -D loop xfs
            -i -D loop a=1
            -c
        """,
        {
            CONF: (
                "options loop max=1\noptions loop\tb=2\tc=3\noptions lo* d=4\noptions snd-hda-intel x=y\n"
                "options block_major_7_0 z=1\noptions block-major-7-* w=1\noptions fs-xfs f=1\noptions xfs f=2\n"
                'options  mii  two  blanks \noptions libcrc32c q="a b"\noptions xor path=C:\\dir\n'
                "options zswap b=1\noptions crc32c al=1\noptions crc32c_intel nm=1\nalias al loop\noptions al y=1\n"
                "options ghost g=1\noptions symbol:xor_symbol s=1\noptions raid6_pq\noptions usbnet a=1 \\\n  b=2\n"
            ),
        },
    ),
    "weakdep lines": Setting(
        """
            -D loop
            -n loop
            -D xfs
            -D wishful
            -r -D loop
            -c
        """,
        {
            CONF: text("""
                weakdep loop mii  xor
                weakdep loop raid6_pq
                weakdep x* mii
                weakdep wishful
                weakdep bad[ x
            """),
        },
    ),
    "bad lines": Setting(
        """
            -c
            -D loop
            -q -D loop
            -q -c
            -D tabbed
            -D three
            -D escaped
            -D cr
            -R cr
            -a -D loop tabbed
            -r -n loop
        """,
        {
            CONF: (
                "nonsense a b\nalias a\nalias\ninstall x\nremove\nblacklist\noptions m\noptions\nsoftdep\n"
                "softdep x\n  # indented\n#comment\\\nblacklist swallowed\nblacklist ok\n\talias tabbed loop\n"
                "  options loop x=1\nalias t[ x\nalias x t]\nblacklist a[b\ninclude /etc/other\nconfig x\n"
                "BLACKLIST y\nblacklist more than one\nalias three loop words\na\\lias esc\\aped lo\\op\n"
                "alias cr loop\r\nblacklist last\\"
            ),
        },
    ),
    "continued lines": Setting(
        """
            -c
            -D loop
            -D mii
            -D xor
            -D xfs
        """,
        {
            CONF: (
                "options loop a=1 \\\nb=2\noptions \\\n mii c=3\n\\\nblacklist x\nblack\\\nlist joined\n"
                "options xor a\\\\b\noptions xfs tail\\\n\nblacklist after\n\n\n#c1\n#c2 \\\n#c3\nblacklist bb\n"
                "options zz x\\ty\nnonsense \\\n more\nbad2"
            ),
        },
    ),
    "bytes that are no text": Setting(
        """
            -c
            -D loop
            -R x
        """,
        {
            CONF: b"options loop a=\xff\xfe\nalias x lo\xc3\xb6p\nblacklist \xe9\n\xff bad\n"
            b"options mii\ta\x0bb\x0c=c\n",
        },
    ),
    "a zero byte": Setting(
        """
            -c
            -D loop
        """,
        {
            CONF: b"options loop a=\x00b\nblacklist x\x00y z\noptions loop c=1\n",
        },
    ),
    "no final newline and empty files": Setting(
        """
            -c
            -D loop
        """,
        {
            CONF: "options loop last=1",
            "etc/modprobe.d/b.conf": "",
            "etc/modprobe.d/c.conf": "\n\n",
        },
    ),
    "five directories": Setting(
        """
            -c
            -D loop
            -q -c
            -C {root}/etc/modprobe.d -c
            -C {root}/etc/modprobe.d -C {root}/run/modprobe.d -D loop
            -C {root}/run/modprobe.d -C {root}/etc/modprobe.d -D loop
            -C {root}/etc/modprobe.d/not-conf.txt -D loop
            -C {root}/etc/modprobe.d/not-conf.txt -C {root}/run/modprobe.d/z.conf -D loop
            -C {root}/run/modprobe.d/z.conf -C {root}/etc/modprobe.d/not-conf.txt -D loop
            -C ../etc/modprobe.d -D loop
            -C ../etc/modprobe.d/ -c
            --config={root}/nothing -D loop
            -C {root}/nothing -C {root}/run/modprobe.d -D loop
            -C {root}/etc/modprobe.d/dir.conf -c
            -C {root}/etc/modprobe.d/dangling.conf -c
            MODPROBE_OPTIONS='-C {root}/run/modprobe.d' | -D loop
        """,
        {
            "etc/modprobe.d/m.conf": "options loop etc_m=1\n",
            "etc/modprobe.d/b.conf": "options loop etc_b=1\n",
            "etc/modprobe.d/not-conf.txt": "options loop txt=1\n",
            "etc/modprobe.d/.hidden.conf": "options loop hidden=1\n",
            "run/modprobe.d/m.conf": "options loop run_m=1\n",
            "run/modprobe.d/z.conf": "options loop run_z=1\n",
            "run/modprobe.d/B.conf": "options loop upper=1\n",
            "usr/local/lib/modprobe.d/c.conf": "options loop local_c=1\n",
            "usr/local/lib/modprobe.d/z.conf": "options loop local_z=1\n",
            "usr/lib/modprobe.d/a.conf": "options loop usr_a=1\n",
            "usr/lib/modprobe.d/c.conf": "options loop usr_c=1\n",
            "lib/modprobe.d/a.conf": "options loop lib_a=1\n",
            "lib/modprobe.d/x-y.conf": "options loop lib_x=1\n",
            "lib/modprobe.d/é.conf": "options loop accent=1\n",
        },
    ),
    "a directory in the directory": Setting(
        """
            -c
            -D loop
            -q -D loop
        """,
        {
            "etc/modprobe.d/dir.conf/": "",
        },
    ),
    "a dangling link": Setting(
        """
            -c
            -D loop
            -q -D loop
        """,
        {
            "etc/modprobe.d/dangling.conf": "-> nowhere",
        },
    ),
    "a link to a file": Setting(
        """
            -c
            -D loop
        """,
        {
            "etc/modprobe.d/link.conf": "-> ../../other.txt",
            "other.txt": "options loop linked=1\n",
        },
    ),
    "a mask": Setting(
        """
            -c
            -D loop
        """,
        {
            CONF: "-> ../../dev/null",
            "lib/modprobe.d/a.conf": "options loop hidden=1\n",
        },
    ),
    "softdep before modules.softdep": Setting(
        """
            -D libcrc32c
            -D xfs
            -c
        """,
        {
            CONF: "softdep libcrc32c pre: loop\n",
        },
    ),
    "softdep after modules.softdep": Setting(
        """
            -D libcrc32c
            -D xfs
            -c
        """,
        {
            "etc/modprobe.d/zz.conf": "softdep libcrc32c pre: loop\n",
        },
    ),
    "a file named as the tree's": Setting(
        """
            -C {root}/alt/modules.softdep -D libcrc32c
            -C {root}/alt -c
            -c
        """,
        {
            "alt/modules.softdep": "softdep libcrc32c pre: loop\n",
            "etc/modprobe.d/modules.conf": "blacklist x\n",
        },
    ),
    "kernel command line": Setting(
        """
            -c
            -D loop
            -D loop a=1
            -D mii
            -D snd-hda-intel
            -b -D xor
            -D symbol:xor_symbol
            -D blake2b-256
            -C {root}/nothing -D loop
            -n block-major-7-1
        """,
        {
            "proc/cmdline": (
                'quiet root=/dev/x.y loop.max=8 loop.part=1 modprobe.blacklist=xor,blake2b_generic, mii.s="a b" '
                '"mii.w=c d" snd-hda-intel.model=x a.b.c=d flag.on init=/x -- loop.late=1\n'
            ),
            CONF: text("""
                options loop file=1
                blacklist y
            """),
        },
    ),
    "odd kernel command lines": Setting(
        """
            -c
            -D loop
        """,
        {
            "proc/cmdline": "k[.b=1 loop.=1 .x=1 loop.x= "
            "modprobe.blacklist= modprobe.blacklist modprobe.other=1 =a.b a=b.c\n",
        },
    ),
    "kernel command line, quotes": Setting(
        """
            -c
            -D loop
        """,
        {
            "proc/cmdline": '"loop.a=1" loop."b"=2 loop.c="x"y" loop.d=1 loop.e="un closed loop.f=1\n',
        },
    ),
    "kernel command line, quotes 2": Setting(
        """
            -c
            -D loop
        """,
        {
            "proc/cmdline": 'x="a b" "y z" "loop.g" "modprobe.blacklist=a,b" loop.h=\'a b\' loop.i=1\n',
        },
    ),
    "kernel command line, blanks": Setting(
        """
            -c
            -D loop
        """,
        {
            "proc/cmdline": "  loop.a=1\tloop.b=2\x0bloop.c=3   \n\nloop.d=4",
        },
    ),
    "kernel command line, dashes": Setting(
        """
            -c
            -D loop
        """,
        {
            "proc/cmdline": "modprobe.blacklist=a-b,c_d modprobe.blacklist=e "
            "snd-pcm.x-y=1 lo-op.a=1 modprobe.blacklist.x=1\n",
        },
    ),
    "loaded modules": Setting(
        """
            -n loop
            -n -v loop
            -n --first-time loop
            -n --first-time -q loop
            -D loop
            -D --first-time loop
            -n xfs
            -n btrfs
            -n -i btrfs
            -n cdc_ether
            -n usbnet
            -n block-major-7-0
            -n --first-time block-major-7-0
            loop
            --first-time loop
            -q --first-time loop
            -a --first-time loop
            -b loop
            block-major-7-0
            zswap
            --first-time zswap
            -r -n loop
            -r -n -v loop
            -r -n --first-time loop
            -r -n libcrc32c
            -r -n mii
            -r -n -w 100 mii
            -r -n -q mii
            -a -r -n mii loop
            -r mii
            -q -r mii
            -a -r mii
            -r -f -n mii
            -r -n --remove-holders mii
            -r -n --remove-holders loop
            -r -n --remove-dependencies loop
            -r -n usbnet
            -r -n xor
            -r -n snd-pcm
            -r --first-time raid6_pq
            -r raid6_pq
            -r -q --first-time raid6_pq
            -r -n crc32c
            -r -n -i loop
            -r zswap
            -q -r zswap
        """,
        {
            **loaded("loop"),
            **loaded("mii", refcount=1, holders=["usbnet"]),
            **loaded("usbnet"),
            **loaded("libcrc32c"),
            **loaded("crc32c_generic"),
            **loaded("xor", state="coming"),
            **loaded("snd_pcm", state="going"),
        },
    ),
    "loaded chain": Setting(
        """
            -r -n btrfs
            -r -n -i btrfs
            -r -n --remove-holders libcrc32c
            -r -n --remove-holders xor
            -r -n libcrc32c
            -r -n fs-btrfs
            -r -n btrfs xor
            -a -r -n xor btrfs
            -r -n snd-hda-intel
            -r -n snd-hda-codec
        """,
        {
            **loaded("btrfs"),
            **loaded("xor", refcount=1, holders=["btrfs"]),
            **loaded("raid6_pq"),
            **loaded("zstd_compress"),
            **loaded("libcrc32c", refcount=1, holders=["btrfs"]),
            **loaded("crc32c_generic"),
            **loaded("blake2b_generic"),
            **loaded("snd_hda_intel"),
            **loaded("snd_hda_codec"),
            **loaded("snd_pcm"),
            **loaded("snd_seq"),
        },
    ),
    "loaded, with commands": Setting(
        """
            -n loop
            -n mii
            -r -n loop
            -r -n mii
            -r -n -i loop
            -r -n -i mii
            -r -n xor
            -r -n usbnet
            -r -n ghost
            -r -n --remove-holders mii
        """,
        {
            CONF: text("""
                remove loop echo rm
                install loop echo in
                softdep mii pre: xor post: loop
                remove usbnet echo net
                remove ghost echo boo
            """),
            **loaded("loop", refcount=2),
            **loaded("mii"),
            **loaded("xor"),
            **loaded("usbnet", holders=["loop"]),
        },
    ),
    "files": Setting(
        """
            -D /{root}/{modules}/kernel/drivers/block/loop.ko
            -D {root}/{modules}/kernel/drivers/block/loop.ko
            -D {root}/{modules}/kernel/drivers/block/loop.ko max=1
            -n {root}/{modules}/kernel/fs/btrfs/btrfs.ko
            -D {root}/{modules}/kernel/fs/btrfs/btrfs.ko
            -i -D {root}/{modules}/kernel/fs/btrfs/btrfs.ko
            -R {root}/{modules}/kernel/fs/btrfs/btrfs.ko
            -D ./../{modules}/kernel/drivers/block/loop.ko
            -D ./../tmp/../{modules}/kernel/drivers/block/loop.ko
            -D ../{modules}/kernel/drivers/block/loop.ko
            -D {root}/tmp/own.ko
            -D {root}/tmp/own.ko a=1
            -D ./../tmp/own.ko
            -D ./own.ko
            -D {root}/tmp/loop.ko
            -b -D {root}/tmp/loop.ko
            -D {root}/tmp/xfs
            -D {root}/tmp/snd-pcm.ko
            -D {root}/tmp/none.ko
            -q -D {root}/tmp/none.ko
            -a -D {root}/tmp/none.ko {root}/tmp/own.ko
            -a -q -D {root}/tmp/none.ko {root}/tmp/own.ko
            -D {root}/tmp
            -D /
            -D ./
            -D .
            -D ../tmp/own.ko
            -n {root}/tmp/none.ko
            -n {root}/tmp/zswap.ko
            -D {root}/tmp/zswap.ko
            -r -n {root}/tmp/own.ko
            -r -n {root}/tmp/loop.ko
            -r -n {root}/tmp/none.ko
        """,
        {
            "tmp/own.ko": "x",
            "tmp/loop.ko": "x",
            "tmp/xfs": "x",
            "tmp/snd-pcm.ko": "x",
            "tmp/zswap.ko": "x",
            CONF: text("""
                options own o=1
                options loop l=1
                blacklist loop
                softdep own pre: mii
                install snd-pcm echo pcm
            """),
        },
    ),
    "symbols": Setting(
        """
            --show-exports {root}/{modules}/kernel/fs/btrfs/btrfs.ko
            --show-exports ./../{modules}/kernel/fs/xfs/xfs.ko
            --show-exports ../{modules}/kernel/fs/xfs/xfs.ko
            --show-modversions {root}/{modules}/kernel/fs/btrfs/btrfs.ko
            --show-modversions ../{modules}/kernel/fs/xfs/xfs.ko
            --show-modversions ../{modules}/kernel/fs/xfs/xfs.ko ../{modules}/kernel/crypto/xor.ko
            --dump-modversions {root}/{modules}/kernel/fs/btrfs/btrfs.ko
            --show-modversions xfs
            --show-modversions snd-hda-intel
            --show-exports xfs
            --show-exports snd-hda-intel
            --show-exports no_such
            --show-modversions no_such
            --show-modversions bad[
            --show-modversions fs-xfs
            --show-exports zswap
            --show-modversions {root}/tmp/text.ko
            --show-exports {root}/tmp/text.ko
            --show-exports {root}/tmp/empty.ko
            --show-exports {root}/tmp/none.ko
            --show-exports {root}/tmp
            --show-exports
            -q --show-exports no_such
            -q --show-exports {root}/tmp/text.ko
            --show-modversions gone
            -r --show-exports xfs
            -D --show-exports xfs
            -c --show-exports xfs
            --show-exports {root}/tmp/only-needs.ko
            --show-modversions {root}/tmp/only-needs.ko
            --show-exports {root}/tmp/only-has.ko
            --show-modversions {root}/tmp/only-has.ko
            -q --show-exports {root}/tmp/only-needs.ko
            -a --show-exports {root}/tmp/only-needs.ko
            -a --show-exports no_such xfs
            -c --show-exports
        """,
        {
            "tmp/text.ko": "text",
            "tmp/empty.ko": "",
            "tmp/only-needs.ko": Ko(needs={"wanted": 5}).bytes(),
            "tmp/only-has.ko": Ko(exports={"given": 0x89ABCDEF}).bytes(),
        },
    ),
    "stale index": Setting(
        """
            -D gone
            -n gone
            -i -D gone
            -R gone
            -R needs_gone
            -D needs_gone
            -n needs_gone
            -D soft_needs_gone
            -q -D needs_gone
            -a -D needs_gone loop
            -r -n needs_gone
        """,
    ),
    "softdeps while removing": Setting(
        """
            -r -n mii
            -a -r -n mii
            -r -n --first-time mii
            -r -n loop
            -r -n usbnet
            -r -n cdc_ether
            -r -n --first-time usbnet
            -r -D mii
            -r -i -n mii
            -r -n mii loop mii
            -r -n xor no_such loop
            -a -r -n xor no_such loop
        """,
        {
            CONF: text("""
                softdep mii pre: xor post: zswap loop
                remove loop echo loop
                softdep usbnet pre: raid6_pq post: xfs
                softdep cdc_ether pre: mii post: loop
            """),
            **loaded("mii"),
            **loaded("loop", refcount=1),
            **loaded("xor", refcount=1),
            **loaded("usbnet"),
            **loaded("cdc_ether"),
        },
    ),
    "softdep rings": Setting(
        """
            -D ring_a
            -D ring_b
            -D loop
            -D mii
            -a -D mii loop
            -i -D mii
            -r -D xor
        """,
        {
            CONF: text("""
                softdep loop pre: loop
                softdep mii pre: xor post: mii
                softdep xor post: usbnet
            """)
        },
    ),
    "a ring while removing": Setting(
        "-r -n loop", {CONF: "softdep loop pre: loop mii\n", **loaded("loop"), **loaded("mii")}
    ),
    "holders": Setting(
        """
            --remove-holders -n mii
            -r -n --remove-holders mii
            -r -n --remove-holders usbnet
            -r -n --remove-holders -i usbnet
            -r -n --remove-holders xor
        """,
        {
            **loaded("mii", refcount=1, holders=["usbnet"]),
            **loaded("usbnet", refcount=1, holders=["cdc_ether"]),
            **loaded("cdc_ether"),
            **loaded("xor", refcount=2, holders=["raid6_pq"]),
            **loaded("raid6_pq", refcount=1),
        },
    ),
    "softdep sections again and again": Setting(
        """
            -D loop
            -D mii
            -D xor
            -r -D loop
        """,
        {
            CONF: text("""
                softdep loop post: xor pre: mii post: raid6_pq
                softdep mii pre: pre: raid6_pq post: pre: zstd_compress
                softdep xor pre: usbnet post:loop
            """)
        },
    ),
    "a built-in module's name for a file": Setting(
        """
            -n {root}/tmp/zswap.ko
            -n --first-time {root}/tmp/zswap.ko
            -n {root}/tmp/loop.ko
            -n --first-time {root}/tmp/loop.ko
            -D --first-time {root}/tmp/loop.ko
        """,
        {"tmp/zswap.ko": "x", "tmp/loop.ko": "x", **loaded("loop")},
    ),
    "a module by its name and by an alias": Setting(
        """
            -D loop
            -D mii
            -D two
            -n loop
            -i -D loop
        """,
        {
            CONF: text("""
                alias two loop
                alias two mii
                softdep loop pre: mii two
                options two o=1
            """)
        },
    ),
    "names made of install lines": Setting(
        """
            -R foo.bar
            -D foo.bar
            -n foo.bar
            -r -D foo.bar
            -R foo
            -R al-[0-9]
            -D al-[0-9]
            -r -D al-[0-9]
            -D a/b
        """,
        {
            CONF: text("""
                install foo.bar echo foo
                remove foo.bar echo rm
                options foo o=1
                options foo.bar o=2
                install al-[0-9] run
                remove al-[0-9] rm
                options al-[0-9] p=1
                install a/b echo slash
            """)
        },
    ),
    "parameters for a module that something else wants first": Setting(
        """
            -D usbnet p=1
            -n usbnet p=1
            -D mii p=1
            -i -D usbnet p=1
        """,
        {CONF: "softdep mii post: cdc_ether\n"},
    ),
    "white space of other kinds": Setting(
        """
            -D loop
            -D mii
            -c
        """,
        {
            CONF: text("""
                softdep loop pre: mii\u3000xor raid6_pq\u00a0x
                softdep mii pre: xor\x1craid6_pq
                softdep xor post: raid6_pq\x0bmii\x0cloop
                weakdep loop a   b
                weakdep mii \t a \t b
            """)
        },
    ),
    "patterns are of bytes": Setting(
        """
            -D aéc
            -D bé
            -D c[é]
            -D dé
            -D eé
            -D fé
        """,
        {
            CONF: text("""
                alias a?c loop
                alias a??c mii
                alias b[[:alpha:]]* loop
                alias c??? mii
                alias d[é][é] mii
                alias e[!x][!x] mii
                alias f[[:alnum:]][[:alnum:]] mii
            """)
        },
    ),
    "comments and odd entries": Setting(
        """
            -D loop
            -c
        """,
        {
            CONF: "\\# loop\n\\#alias x y\noptions loop a=1\n",
            "etc/modprobe.d/ring.conf": "-> ring.conf",
            "etc/modprobe.d/below.conf": "-> a.conf/x",
        },
    ),
    "quotes on the kernel command line": Setting(
        """
            -c
            -D mii
        """,
        {
            "proc/cmdline": 'mii.a="x\ty" "mii.b=x"y "mii x.c=d" "mii.d=x y" mii.e=x"y z"w "modprobe.blacklist=q,r" '
            '"mii\tx.f=g" mii.g="a"b"c" "mii.h=a"b"c d"\n',
        },
    ),
    "numbers of milliseconds": Setting(
        """
            -w 0x10 -n -r no_such
            -w 0x -n -r no_such
            -w 0o17 -n -r no_such
            -w 0x0x1 -n -r no_such
            -w 08 -n -r no_such
            -w 017 -n -r no_such
            -w 0 -n -r no_such
            -w 1_0 -n -r no_such
            -w ' 7' -n -r no_such
            -w +7 -n -r no_such
        """
    ),
}
