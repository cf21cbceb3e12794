# nix-build contrib/packaging/nix --arg src ./dist/pymodutils-0.1.0.tar.gz
{
  pkgs ? import <nixpkgs> { },
  src ? ../../..,
  python3 ? pkgs.python3,
}:

pkgs.stdenvNoCC.mkDerivation {
  pname = "pymodutils";
  version = "0.1.0";
  inherit src;

  dontConfigure = true;
  dontBuild = true;

  # The commands' first line names this interpreter; NixOS has no /usr/bin/python3.
  installFlags = [
    "PREFIX=$(out)"
    "SYSCONFDIR=$(out)/etc"
    "PYTHON=${python3.interpreter}"
  ];

  meta = {
    description = "Linux kernel module commands in Python, in place of kmod";
    license = pkgs.lib.licenses.lgpl21Plus;
    mainProgram = "kmod";
    platforms = pkgs.lib.platforms.linux;
  };
}
