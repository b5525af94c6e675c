// esbuild turns imported style sheets into files beside the script.
declare module "*.css";
